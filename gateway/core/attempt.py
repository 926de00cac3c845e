"""One try at one deployment, as the record tells it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.deployment import Deployment
from gateway.core.span import SpanContext, child_id

FIRST_ATTEMPT = 16
"""The number of the first attempt's span among the children of its call's."""


@dataclass(slots=True)
class Attempt:
    """Times in monotonic seconds. `reason` is primary, retry or fallback; `error` is the code it failed with, `fault` whose
    that was (see GatewayError), `detail` what only operators are told; `first_byte` is when its answer began."""

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

    @property
    def deployment(self) -> str:
        return self.target.name

    @property
    def provider(self) -> str:
        return self.target.provider.name


class Attempts(list[Attempt]):
    """The attempts of one call, whose span is `span`; `waited` are the seconds that it was made to wait between them."""

    __slots__ = ("span", "waited")

    def __init__(self, span: SpanContext) -> None:
        super().__init__()
        self.span = span
        self.waited = 0.0

    def begin(self, target: Deployment, *, started: float) -> Attempt:
        before = self[-1] if self else None
        reason = "primary" if before is None else "retry" if before.target is target else "fallback"
        attempt = Attempt(len(self) + 1, target, reason, started)
        self.append(attempt)
        return attempt

    def context(self) -> SpanContext:
        """The context that the last attempt's request may carry."""
        span = self.span
        id = child_id(span.span_id, FIRST_ATTEMPT + len(self) - 1)
        return SpanContext(span.trace_id, id, span.is_sampled, span.state)
