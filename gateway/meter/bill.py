"""What one answer cost: the provider's own count of tokens, or ours where it gave none, times the deployment's price."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from gateway.core import units
from gateway.core.bill import Bill
from gateway.core.call import TEXT, Call
from gateway.core.deployment import Deployment
from gateway.core.money import Price
from gateway.core.tasks import Tasks
from gateway.core.usage import Details, Usage
from gateway.meter import server_tools
from gateway.meter.price import cost
from gateway.meter.tokens import Tokens


class Measurable(Protocol):
    """An answer; `is_complete` is False when it was cut, and its usage so far may say too little."""

    @property
    def deployment(self) -> Deployment: ...

    @property
    def usage(self) -> Usage | None: ...

    @property
    def is_complete(self) -> bool: ...

    @property
    def produced_share(self) -> float:
        """The part of what was generated that `produced` has."""
        ...

    def produced(self) -> list[str]: ...


class Meter:
    def __init__(self, tokens: Tokens, tasks: Tasks) -> None:
        self._tokens = tokens
        self._tasks = tasks

    async def bill(self, call: Call, answer: Measurable) -> Bill:
        """Prices what has been produced so far, however the answer ended. Counting goes on when the caller is cancelled."""
        usage = answer.usage
        if call.operation not in TEXT:
            usage = await self._of_media(call, usage, answer.deployment.price)
        elif usage is None or not answer.is_complete:
            usage = await self._tasks.finish(self._estimate(call, answer, usage), name="count tokens")
        searches = _searches(call, answer, usage)
        if searches > usage.searches:
            usage = replace(usage, searches=searches)
        price = answer.deployment.price
        return Bill(usage, None if price is None else cost(usage, price))

    async def tokens_in(self, call: Call) -> int:
        return await self._tokens.sent(call, call.model)

    async def _of_media(self, call: Call, told: Usage | None, price: Price | None) -> Usage:
        """What was told; of an answer that has begun, and whose tokens are sold and not told, what such calls usually have."""
        if told is None:
            return Usage(await self.tokens_in(call), 0, estimated=True, units=units.asked(call))
        if price is None or price.unit or told.input or told.output:
            return told
        sent, made = units.usual_tokens(call)
        kinds = units.KINDS.get(call.operation, ())
        details = Details(
            audio_input=sent if "audio_input" in kinds else 0,
            audio_output=made if "audio_output" in kinds else 0,
            image_input=sent if "image_input" in kinds else 0,
            image_output=made if "image_output" in kinds else 0,
        )
        sent += await self.tokens_in(call)
        return replace(told, input=sent, output=made, estimated=True, details=details)

    async def _estimate(self, call: Call, answer: Measurable, reported: Usage | None) -> Usage:
        """Our own count, but never less than what the provider had reported before its answer broke off."""
        model = answer.deployment.upstream_model
        counted = sum([await self._tokens.count(text, model) for text in answer.produced()])
        made = round(counted / answer.produced_share)
        if reported is None:
            sent = await self._tokens.sent(call, model)
            if unsaid := call.unsaid_to(answer.deployment.provider.dialect):
                sent += await self._tokens.count(unsaid.decode(), model)
            return Usage(input=sent, output=made, estimated=True)
        if made <= reported.output:
            return reported
        return replace(reported, output=made, estimated=True)


def _searches(call: Call, answer: Measurable, usage: Usage) -> int:
    """Those that were counted; of an answer that was cut before that, as many as there may have been."""
    if not answer.is_complete:
        return max(usage.searches, server_tools.reach(call, answer.deployment).searches)
    return usage.searches or server_tools.searched(call, answer.deployment)
