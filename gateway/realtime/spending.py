"""What a session holds and pays: for each response the most that it can cost, held before it can begin.

A provider may begin a response by itself, once it has heard the client fall silent, so the money for one is always held ahead;
further ones at the same time each need their own. A response is settled when the provider has counted it, and whatever is under
way at the end by our own count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.budget.hold import Hold
from gateway.budget.purse import Purse
from gateway.core.bill import Bill, total
from gateway.core.call import Call
from gateway.core.deployment import Deployment, Model
from gateway.core.errors import BudgetExhausted, CallerError, Overloaded
from gateway.core.usage import Usage
from gateway.meter.price import ceiling, cost
from gateway.realtime.context import Context, cap_of
from gateway.realtime.events import Event
from gateway.realtime.usage import transcription_of, usage_of

_KINDS = frozenset({"audio_input", "audio_output", "image_input"})
_MOST = 64
"""Responses under way at once."""


class SessionEstimates:
    """Implements budget.needs.Estimates, for the next response of a session."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.cap: int | None = None  # of the response that is asked for, if it has one of its own

    def sent(self, call: Call, deployment: Deployment) -> int:
        abilities = deployment.abilities
        return self.context.to_hold(abilities.prompt or abilities.context)

    async def sent_closely(self, call: Call, deployment: Deployment) -> int | None:
        return None

    def guess_sent(self, call: Call) -> int:
        return self.context.about

    def choices(self, call: Call) -> int:
        return 1

    def asked_output(self, call: Call) -> int | None:
        return self.cap or self.context.cap

    def cap_is_told(self, call: Call, deployment: Deployment) -> bool:
        return True

    async def count(self, text: str, deployment: Deployment) -> int:
        return len(text)

    def ceiling(self, call: Call, deployment: Deployment, *, sent: int, made: int) -> int | None:
        price = deployment.price
        return None if price is None else ceiling(sent, made, price, kinds=_KINDS)

    def boundless(self, call: Call, deployment: Deployment) -> None:
        return None

    def cost(self, deployment: Deployment, *, sent: int, made: int) -> int:
        return 0 if deployment.price is None else cost(Usage(sent, made), deployment.price)


@dataclass(slots=True, eq=False)
class _Response:
    """One that is held for. `event_id` is the client's event that asked for it, `is_beside`: not as a part of the conversation.
    `text` and `audio` are what was made, in bytes and in characters of base64, after `read` tokens."""

    purse: Purse
    is_asked: bool = False
    is_beside: bool = False
    event_id: object = None
    id: str | None = None
    text: int = 0
    audio: int = 0
    read: int = 0


class Spending:
    """`bill` is what the session has come to so far, `responses` how many have been counted.

    Both sides of a session ask it, and the budget may take its time: one after the other, for an answer that came too late would
    hold for a response that has been settled meanwhile.
    """

    def __init__(self, hold: Hold, model: Model, estimates: SessionEstimates) -> None:
        self._hold = hold
        self._model = model
        self._estimates = estimates
        self._deployment: Deployment | None = None
        self._held: list[_Response] = []
        self._bills: list[Bill] = []
        self._turn = asyncio.Lock()
        self._besides: list[Bill] = []  # to be paid with the next response, for nothing was held for them
        self.responses = 0

    @property
    def bill(self) -> Bill:
        return total(self._bills) or self._bill(Usage(0, 0))

    @property
    def cap(self) -> int | None:
        """The output cap that every response must have, for a budget must not be run past; None: there is no such budget."""
        needs = self._held[0].purse.needs if self._held else None
        return (self._context.cap or self._model.max_output) if needs is not None and needs.is_bound else None

    async def reserve(self, deployment: Deployment) -> None:
        """Holds for a first response there, in the place of elsewhere. Raises as Purse.reserve."""
        self._deployment = deployment
        if self._held:
            await self._reserve(self._held[0])
        else:
            await self._ahead(is_first=True)

    async def before(self, event: Event, size: int) -> None:
        """The client's event may be passed on once what it may lead to is held. Raises as Purse.reserve."""
        async with self._turn:
            await self._before(event, size)

    async def heard(self, event: Event) -> None:
        """From the provider: what it has made, and what it has counted."""
        async with self._turn:
            self._heard(event)

    async def ahead(self) -> None:
        """Holds for the next response of the conversation, of which there is one at a time. Raises as Purse.reserve."""
        async with self._turn:
            if all(each.is_beside for each in self._held):
                await self._ahead()

    def settle(self) -> None:
        """The session is over: what nobody has counted is billed by our own count. May be called again."""
        if (unheard := self._context.transcripts.left()) is not None:
            self._besides.append(self._bill(unheard))
        for each in self._held:
            if each.id is not None:
                self._pay(self._context.guess(each.text, each.audio, each.read), each.purse)
            elif each.is_asked:
                self._pay(self._context.guess(0, 0, self._context.about), each.purse)
            elif self._besides:
                self._pay(None, each.purse)
            else:
                each.purse.close()
        self._held.clear()
        self._bills += self._besides
        self._besides.clear()

    async def _before(self, event: Event, size: int) -> None:
        self._context.said(event, size)
        if event.type == "response.create":
            self._estimates.cap = cap_of(event.part("response"))
            try:
                response = self._free() or await self._ahead()
                await self._cover(response)
            finally:
                self._estimates.cap = None
            response.is_asked, response.event_id = True, event.event_id
            response.is_beside = event.part("response").get("conversation") == "none"
        elif (free := self._free()) is not None:
            await self._cover(free)

    def _heard(self, event: Event) -> None:
        self._context.heard(event)
        match event.type:
            case "response.created":
                self._begun(event.part("response").get("id"))
            case "response.done":
                self._done(event.part("response"))
            case "conversation.item.input_audio_transcription.completed":
                if (usage := transcription_of(event.usage)) is not None:
                    self._besides.append(self._bill(usage))
            case "error":
                self._refused(event.part("error").get("event_id"))
            case _ if isinstance(event.delta, str):
                self._made(event)

    @property
    def _context(self) -> Context:
        return self._estimates.context

    def _free(self) -> _Response | None:
        return next((each for each in self._held if not each.is_asked and each.id is None), None)

    async def _ahead(self, *, is_first: bool = False) -> _Response:
        if len(self._held) >= _MOST:
            raise BudgetExhausted(f"a session has at most {_MOST} responses under way", code="too_many_responses")
        response = _Response(self._hold.beside(self._model, is_needed=is_first))
        await self._reserve(response)
        self._held.append(response)
        return response

    async def _cover(self, response: _Response) -> None:
        """Holds more, where the next response can cost more than what is held for it."""
        purse, deployment = response.purse, self._deployment
        if purse.needs is None or deployment is None:
            return
        sent, made = purse.tokens
        estimates, call = self._estimates, self._hold.call
        cap = estimates.asked_output(call) or self._model.max_output
        if estimates.sent(call, deployment) > sent or cap > made:
            await self._reserve(response)

    async def _reserve(self, response: _Response) -> None:
        purse = response.purse
        assert self._deployment is not None
        try:
            await purse.reserve(self._deployment)
            if purse.is_clamped:
                raise BudgetExhausted("What is left of the budget does not cover another response of this session.")
        except (CallerError, Overloaded):
            purse.close()
            self._hold.note_refusal(purse)
            raise

    def _begun(self, id: object) -> None:
        """The one that was asked for first; else the provider began it by itself."""
        waiting = next((each for each in self._held if each.is_asked and each.id is None), None)
        response = waiting or self._free()
        if response is not None:
            response.id = id if isinstance(id, str) else ""
            response.read = self._context.about

    def _made(self, event: Event) -> None:
        response = self._of(event.response_id)
        if response is None:
            return
        if event.type in ("response.output_audio.delta", "response.audio.delta"):
            response.audio += len(event.delta)
        elif "transcript" not in event.type:
            response.text += len(event.delta.encode("utf-8", "replace"))

    def _done(self, told: Mapping[str, object]) -> None:
        self.responses += 1
        response, usage = self._of(told.get("id")), usage_of(told.get("usage"))
        if usage is not None and told.get("conversation_id") is not None:
            self._context.counted(usage)
        if response is not None:
            self._held.remove(response)
            self._pay(usage or self._context.guess(response.text, response.audio, response.read), response.purse)
        elif usage is not None:  # more were under way than was held for
            self._besides.append(self._bill(usage))

    def _refused(self, event_id: object) -> None:
        """The provider did not take what the client asked: if that was a response, its money is there for the next one."""
        asked = [each for each in self._held if each.is_asked and each.id is None]
        named = [each for each in asked if each.event_id is not None and each.event_id == event_id]
        for each in named or ([] if isinstance(event_id, str) else asked[:1]):
            each.is_asked, each.is_beside, each.event_id = False, False, None

    def _pay(self, usage: Usage | None, purse: Purse) -> None:
        bills = [*self._besides, *([] if usage is None else [self._bill(usage)])]
        self._besides.clear()
        self._bills += bills
        if (bill := total(bills)) is not None:
            purse.settle(bill)

    def _bill(self, usage: Usage) -> Bill:
        price = None if self._deployment is None else self._deployment.price
        return Bill(usage, None if price is None else cost(usage, price))

    def _of(self, id: object) -> _Response | None:
        return next((each for each in self._held if each.id is not None and each.id == id), None)
