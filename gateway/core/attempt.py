"""One try at one deployment, as the record tells it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.core.bill import Bill, total
from gateway.core.deployment import Deployment
from gateway.core.span import SpanContext, child_id

FIRST_ATTEMPT = 16
"""The number of the first attempt's span among the children of its call's."""


@dataclass(slots=True)
class Attempt:
    """Times in monotonic seconds. `error` is the code it failed with, `fault` whose that was (see GatewayError), `detail` what
    only operators are told; `first_byte` is when its answer began.

    `reason` is primary, retry or fallback, or, where a call asks several models: try (of a cascade), second (the opinion asked
    beside it), escalation or hedge. `because` says why an answer was not served, and `paid` what it cost, where more than
    one was paid. `dropped` names the client's fields that the provider's dialect could not carry (see core.dropped).
    """

    number: int
    target: Deployment
    reason: str
    started: float
    ended: float = 0.0
    first_byte: float | None = None
    status: int | None = None
    error: str | None = None
    fault: str | None = None
    detail: str | None = None
    request_id: str | None = None
    is_sent: bool = False
    because: str | None = None
    paid: Bill | None = None
    dropped: tuple[str, ...] = ()

    @property
    def deployment(self) -> str:
        return self.target.name

    @property
    def provider(self) -> str:
        return self.target.provider.name


class Attempts(list[Attempt]):
    """The attempts of one call, whose span is `span`; `waits` are the times, as begin and end, in which it was made to wait
    between them. `served` is the one whose answer its client got."""

    __slots__ = ("served", "span", "waits")

    def __init__(self, span: SpanContext) -> None:
        super().__init__()
        self.span = span
        self.waits: list[tuple[float, float]] = []
        self.served: Attempt | None = None

    def begin(self, target: Deployment, *, started: float, reason: str = "primary") -> Attempt:
        attempt = Attempt(len(self) + 1, target, reason, started)
        self.append(attempt)
        return attempt

    def context(self, attempt: Attempt) -> SpanContext:
        """The context that the attempt's request may carry."""
        span = self.span
        id = child_id(span.span_id, FIRST_ATTEMPT + attempt.number - 1)
        return SpanContext(span.trace_id, id, span.is_sampled, span.state)

    @property
    def teller(self) -> Attempt | None:
        """The one that says who answered: whose answer was served, or else the last."""
        return self.served or (self[-1] if self else None)

    @property
    def paid(self) -> Bill | None:
        """What their answers cost together, where it was noted."""
        return total(attempt.paid for attempt in self if attempt.paid is not None)

    @property
    def waited(self) -> float:
        """Seconds."""
        return sum(ended - began for began, ended in self.waits)

    def elsewhere(self, now: float) -> float:
        """Seconds until `now` that were a provider's, or spent waiting to try one again; what overlaps counts once."""
        if len(self) == 1 and not self.waits:
            return (self[0].ended or now) - self[0].started
        seconds, until = 0.0, -math.inf
        for began, ended in sorted([*((each.started, each.ended or now) for each in self), *self.waits]):
            seconds += max(0.0, ended - max(began, until))
            until = max(until, ended)
        return seconds
