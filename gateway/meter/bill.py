"""What one answer cost: the provider's own count of tokens, or ours where it gave none, times the deployment's price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.usage import Usage
from gateway.meter.price import cost
from gateway.meter.tokens import Tokens


class Measurable(Protocol):
    """An answer, complete or cut."""

    @property
    def deployment(self) -> Deployment: ...

    @property
    def usage(self) -> Usage | None: ...

    def produced(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Bill:
    """`cost` in nano-USD; None when the deployment has no price."""

    usage: Usage
    cost: int | None


class Meter:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def bill(self, call: Call, answer: Measurable) -> Bill:
        """Prices what has been produced so far, however the answer ended."""
        usage = answer.usage or await self._estimate(call, answer)
        price = answer.deployment.price
        return Bill(usage, None if price is None else cost(usage, price))

    def tokens_in(self, call: Call) -> int:
        return self._tokens.sent(call, call.model)

    async def _estimate(self, call: Call, answer: Measurable) -> Usage:
        model = answer.deployment.upstream_model
        sent = await self._tokens.sent_aside(call, model)
        made = await self._tokens.count_aside(answer.produced(), model)
        return Usage(input=sent, output=made, estimated=True)
