"""What pays for one answer of a call: for each attempt the most that it can cost is held, and settled once it is known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Protocol

from gateway.budget import refusals
from gateway.budget.headers import rate_headers
from gateway.budget.limits import NOTHING, Account, Unit, Used
from gateway.budget.local import Demand
from gateway.budget.needs import Estimates, Needs
from gateway.budget.reserve import NotAffordable, Reservation, Reserver
from gateway.core.call import OUTPUT_CAPS, Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import CallerError, Overloaded
from gateway.core.usage import Usage

STEP = 1024
"""Output tokens that are reserved at once for a stream that goes beyond its cap."""
LONG = 4096
"""A stream that may have more output than this is shortened to what is left, rather than refused."""
CAP_BYTES = 40
"""What a call grows by when its client adds the output cap it was told: what it is told must still fit then."""
LEAST = 16
"""The shortest answer that a call is shortened to."""
_USED_BY_ANSWERS = frozenset({Unit.USD, Unit.TOKENS})


class Watched(Protocol):
    """An answer under way."""

    @property
    def is_stream(self) -> bool: ...

    @property
    def deployment(self) -> Deployment: ...

    def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        """`single`: each event by itself."""
        ...

    def produced_length(self) -> int:
        """Characters generated so far."""
        ...

    def produced(self) -> list[str]:
        """The text generated so far, choice by choice."""
        ...

    def fresh_text(self) -> str:
        """What was generated since this was last asked."""
        ...

    def cut(self) -> bytes:
        """Ends the answer before its last fresh text, as one that has reached its length, and gives the events that say so."""
        ...


class Bill(Protocol):
    @property
    def usage(self) -> Usage: ...

    @property
    def cost(self) -> int | None: ...


class Purse:
    """`close` settles it. The call's place in the rates, if it was taken first (`admit`), is kept until then.

    `is_stopped`: the answer was ended because the budget was. `is_clamped`: it was given a lower output cap than asked.
    `is_capped`: the provider knows how long it may be. `asked` has each reservation: when it began and ended, in monotonic
    seconds, and its result; `refused_by` tells the budget that said no, and `refusal` is how the caller was told.
    `reserved_usd` in nano-USD; None where no budget in money applies.
    """

    __slots__ = (
        "_answer",
        "_call",
        "_clock",
        "_estimates",
        "_is_admitted",
        "_kept",
        "_max_output",
        "_reserved",
        "_reserver",
        "_sent",
        "asked",
        "bill",
        "degraded",
        "is_beside",
        "is_capped",
        "is_clamped",
        "is_served",
        "is_stopped",
        "needs",
        "refusal",
        "refused_by",
        "reservations",
        "reserved_usd",
    )

    def __init__(
        self, call: Call, *, reserver: Reserver, estimates: Estimates, clock: Clock, is_beside: bool = False
    ) -> None:
        """`is_beside`: it pays for a further answer of its call, which has its place in the rates already."""
        self._call = call
        self._reserver = reserver
        self._estimates = estimates
        self._clock = clock
        self._answer: Watched | None = None
        self._max_output = 0
        self._sent = 0
        self._reserved = 0  # tokens of output
        self._is_admitted = False
        self._kept: Reservation | None = None
        self.needs: Needs | None = None
        self.bill: Bill | None = None
        self.reservations: list[Reservation] = []
        self.asked: list[tuple[float, float, str]] = []
        self.refused_by: Mapping[str, object] | None = None
        self.refusal: CallerError | None = None
        self.degraded: frozenset[str] = frozenset()
        self.reserved_usd: int | None = None
        self.is_beside = is_beside
        self.is_served = False
        self.is_clamped = False
        self.is_stopped = False
        self.is_capped = False

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output tokens that are held for."""
        return self._sent, self._reserved

    def of(self, accounts: tuple[Account, ...], max_output: int) -> None:
        """Says which accounts the answer touches, and how long it may be where nobody says."""
        if self.is_beside:
            accounts = tuple(each for each in accounts if each.limit.unit in _USED_BY_ANSWERS)
        self.needs = Needs(self._call, accounts, self._estimates) if accounts else None
        self._max_output = max_output

    async def reserve(self, deployment: Deployment) -> int | None:
        """Holds the most that an attempt there can cost. The output cap to be written into the request, or None.

        What an earlier attempt held is given back. Raises BudgetExhausted, RateLimited, InvalidRequest for a model without
        a price, Overloaded when nobody can say.
        """
        if self.needs is None:
            return None
        self._end(NOTHING, keep=True)
        began, is_granted = self._clock.monotonic(), False
        try:
            cap = await self._reserve(self.needs, deployment)
            is_granted = True
        finally:
            self._note(began, is_granted=is_granted)
        return cap

    async def admit(self) -> None:
        """For an answer that costs nothing: a place in the rates, unless an attempt has it already. Raises as `reserve`."""
        if self.needs is None or self.reservations or self._is_admitted:
            return
        began, is_granted = self._clock.monotonic(), False
        try:
            await self._hold(self.needs.places())
            self._kept = self.reservations[0] if self.reservations else None
            self._is_admitted = is_granted = True
        except NotAffordable as error:
            raise self._refusal(error, None) from None
        finally:
            self._note(began, is_granted=is_granted)

    def within(self, answer: Watched) -> AsyncIterator[bytes]:
        """The answer's chunks, as far as the budget goes."""
        self._answer = answer
        if self.needs is None or not answer.is_stream or not self.is_clamped:
            return answer.chunks()
        return self._metered(answer, self.needs)

    def settle(self, bill: Bill) -> None:
        """Says what the answer has cost; one beside the call's own is settled at once, and the call's when it is closed."""
        self.bill = bill
        if self.is_beside:
            self.close()

    def close(self) -> None:
        """Settles what the answer has cost, or nothing. May be called again."""
        bill = self.bill
        if bill is None and self.is_beside:
            self.reserved_usd = None
        self._end((0, 0, 1, 0) if bill is None else (bill.cost or 0, bill.usage.input + bill.usage.output, 1, 0))

    def serve(self) -> None:
        """The answer is the one that the client gets, so that it is settled with the call."""
        self.is_served, self.is_beside = True, False

    def release(self) -> None:
        """Gives back what is held and will not be used, but for what the call itself is held by."""
        if self.is_beside:
            self.close()

    def rates(self) -> list[tuple[Account, int]]:
        """What is left of each rate that is held in."""
        left = []
        for reservation in self.reservations:
            for part in reservation.parts:
                if part.account.is_rate:
                    rest = reservation.left.get(part.account.name, 0) if part.slice is None else part.slice.left
                    left.append((part.account, rest))
        return left

    def observe(self) -> None:
        """Notes what a running answer has used so far, for whoever settles it if this worker dies."""
        answer = self._answer
        if answer is None or not self.reservations:
            return
        sent, made = self._estimates.guess_sent(self._call), answer.produced_length() // 4
        cost = self._estimates.cost(answer.deployment, sent=sent, made=made)
        for reservation, amounts in self._spread((cost, sent + made, 1, 0)):
            for part, amount in zip(reservation.parts, amounts, strict=True):
                part.observe(amount)

    async def _reserve(self, needs: Needs, deployment: Deployment) -> int | None:
        """All that the cap allows is held, of a stream too: what a provider thinks and does not show is billed like the rest."""
        asked = self._estimates.asked_output(self._call)
        needs.check_bound(deployment)
        makes = self._call.operation in OUTPUT_CAPS
        cap = (asked or self._max_output) if makes else asked or 0
        sent, is_close = self._estimates.sent(self._call, deployment), False
        while True:
            amounts = needs.amounts(deployment, sent=sent, made=cap * needs.choices)
            try:
                await self._hold(needs.all(amounts))
            except NotAffordable as error:
                closely = None if is_close else await self._estimates.sent_closely(self._call, deployment)
                if closely is not None:
                    sent, is_close = closely, True
                    continue
                written = 0 if asked else CAP_BYTES
                shorter = needs.longest(error.shortages, deployment, sent=sent + written, most=cap)
                if not makes or shorter is None or not LEAST <= shorter < cap or not self._may_be_shorter(error, asked):
                    raise self._refusal(error, shorter) from None
                cap, self.is_clamped = shorter, True
            else:
                self._sent, self._reserved = sent, cap * needs.choices
                self.reserved_usd = amounts[0] if needs.has_money else None
                self.is_capped = needs.is_bound or asked is not None
                is_told = asked is not None and self._estimates.cap_is_told(self._call, deployment)
                return cap if makes and (self.is_clamped or (needs.is_bound and not is_told)) else None

    def _may_be_shorter(self, error: NotAffordable, asked: int | None) -> bool:
        """By the policy; or because it is a stream whose client named no cap, or a long one: it then stops at the limit."""
        if any(each.account.is_rate for each in error.shortages):
            return False
        is_long_stream = self._call.stream and (asked is None or asked > LONG)
        return is_long_stream or all(each.account.limit.clamps for each in error.shortages)

    async def _hold(self, demands: list[Demand]) -> None:
        if self._kept is not None:
            places = {part.account.name for part in self._kept.parts}
            demands = [each for each in demands if each[0].name not in places]
        if demands:
            monotonic = self._clock.monotonic()
            reservation = self._reserver.take(demands, monotonic) or await self._reserver.ask(demands, monotonic)
            self.reservations.append(reservation)
            self.degraded |= reservation.degraded

    def _note(self, began: float, *, is_granted: bool) -> None:
        result = "denied" if not is_granted else "degraded" if self.degraded else "granted"
        self.asked.append((began, self._clock.monotonic(), result))

    async def _metered(self, answer: Watched, needs: Needs) -> AsyncIterator[bytes]:
        """Counts what is produced, reserves further steps for a provider that goes on, and stops it where there is none."""
        made = 0
        async for event in answer.chunks(single=True):
            made += await self._estimates.count(answer.fresh_text(), answer.deployment)
            if made > self._reserved:  # by pieces, which is more than by the whole
                made = sum([await self._estimates.count(text, answer.deployment) for text in answer.produced()])
            while made > self._reserved:
                if not await self._extend(answer.deployment, needs):
                    self.is_stopped = True
                    yield answer.cut()
                    return
            yield event

    async def _extend(self, deployment: Deployment, needs: Needs) -> bool:
        """Reserves the next step of output, or as much of one as there is. False: there is too little to go on with."""
        before = needs.amounts(deployment, sent=self._sent, made=self._reserved)
        for more in (STEP, STEP // 4, STEP // 16, LEAST):
            after = needs.amounts(deployment, sent=self._sent, made=self._reserved + more)
            try:
                await self._hold(needs.more(before, after))
            except NotAffordable:
                continue
            except Overloaded:
                return False
            self._reserved += more
            self.reserved_usd = after[0] if needs.has_money else None
            return True
        return False

    def _end(self, used: Used, *, keep: bool = False) -> None:
        """Settles all that is held; with `keep` not the place in the rates, if that was taken first."""
        if not self.reservations:
            return
        kept = [each for each in self.reservations if keep and each is self._kept]
        for reservation, amounts in self._spread(used):
            if reservation not in kept:
                self._reserver.settle(reservation, amounts)
        self.reservations[:] = kept

    def _spread(self, used: Used) -> Iterable[tuple[Reservation, list[int]]]:
        """What was used of each part: an account's earlier reservations are filled first, its last one takes what remains."""
        if len(self.reservations) == 1:
            only = self.reservations[0]
            return ((only, [used[part.account.index] for part in only.parts]),)
        return self._spread_over_several(used)

    def _spread_over_several(self, used: Used) -> Iterator[tuple[Reservation, list[int]]]:
        left: dict[str, int] = {}
        last = {part.account.name: reservation for reservation in self.reservations for part in reservation.parts}
        for reservation in self.reservations:
            amounts = []
            for part in reservation.parts:
                name = part.account.name
                rest = left.setdefault(name, used[part.account.index])
                amounts.append(rest if last[name] is reservation else min(rest, part.amount))
                left[name] = rest - amounts[-1]
            yield reservation, amounts

    def _refusal(self, error: NotAffordable, affordable: int | None) -> CallerError:
        first = error.shortages[0]
        limit = first.account.limit
        self.refused_by = {
            "scope": first.account.scope,
            "budget": first.account.name,
            "unit": limit.unit.value,
            "limit": limit.amount,
            "remaining": first.left,
            "asked": first.needed,
        }
        found = refusals.refusal(error, affordable=affordable)
        found.headers += rate_headers((each.account, each.left) for each in error.shortages)
        self.refusal = found
        return found
