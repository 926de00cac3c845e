"""The record of one call: filled in as the call goes its way, written once when it ends, however it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from gateway.core.arrival import Asked, Headers
from gateway.core.attempt import Attempts
from gateway.core.bill import Bill
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import (
    CLIENT_LEFT,
    SHUTTING_DOWN,
    CallerError,
    GatewayError,
    KeyRefused,
    Overloaded,
)
from gateway.core.feedback import Feedback
from gateway.core.money import usd
from gateway.core.peer import LOST
from gateway.core.span import SpanContext
from gateway.core.tenant import Tenant
from gateway.core.trial import TrialResult
from gateway.trace.basis import Basis
from gateway.trace.outcomes import TRIAL, outcome_of
from gateway.trace.parts import Claim, Decision, Held, HungUp, Served
from gateway.trace.rules import TraceRules

Decided = TypeVar("Decided", bound=Decision)

STAGES = ("auth", "ingress", "template", "budget", "cache", "route", "upstream", "meter")
"""The stages of a call in the order in which it passes them; a record has a method for each, called when it is passed."""

_HARMLESS = re.compile(rb"[0-9.-]{1,32}")
_OWN = frozenset({"traceresponse", "x-llmgw-attempts", "x-llmgw-route", "x-llmgw-template"})
_PASSED_ON = (b"openai-processing-ms", b"openai-version")


class Record:
    """A context manager: leaving it, normally or by an error, completes the record and hands it to `write`.

    `passed` has the times, in monotonic seconds, at which the stages were passed.
    """

    __slots__ = (
        "_clock",
        "_write",
        "arrival",
        "attempts",
        "based",
        "bill",
        "call",
        "claim",
        "decided",
        "decision",
        "ended",
        "error",
        "hold",
        "hung_up_by",
        "id",
        "is_seen",
        "outcome",
        "parent",
        "passed",
        "plan",
        "policy",
        "received",
        "received_at",
        "rules",
        "said",
        "served",
        "span",
        "status",
        "tenant",
        "tried",
    )

    def __init__(
        self,
        arrival: Asked,
        policy: str,
        rules: TraceRules,
        *,
        span: SpanContext,
        parent: SpanContext | None,
        clock: Clock,
        write: Write,
    ) -> None:
        """`span` is the call's own, `parent` its caller's, which `span` belongs to or, in another trace, links to."""
        self._clock = clock
        self._write = write
        self.arrival = arrival
        self.id = arrival.id
        self.received = arrival.received
        self.received_at = clock.now() - (clock.monotonic() - arrival.received)
        self.policy = policy
        self.rules = rules
        self.span = span
        self.parent = parent
        self.passed: list[float] = []
        self.attempts = Attempts(span)
        self.tenant: Tenant | None = None
        self.call: Call | None = None
        self.hold: Held | None = None
        self.claim: Claim | None = None
        self.based: Basis | None = None
        self.decision: Decision | None = None
        self.decided: float | None = None
        self.plan: Sequence[Deployment] = ()
        self.served: Served | None = None
        self.said: Feedback | None = None
        self.tried: TrialResult | None = None
        self.bill: Bill | None = None
        self.hung_up_by: HungUp | None = None
        self.status = 200
        self.error: GatewayError | None = None
        self.outcome = "upstream"
        self.ended = 0.0
        self.is_seen = False

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ended = self._clock.monotonic()
        if self.bill is None:
            self.bill = self.attempts.paid
        if error is not None:
            self._fail(error)
        elif self.hold is not None and self.hold.is_stopped:
            self.outcome = "stopped_budget"
        elif self.tried is not None:
            self.outcome = TRIAL
        elif self.served is None:
            self.outcome = "gateway"
        elif not self.served.deployment.name and self.claim is not None:
            self.outcome = f"cache_{self.claim.kind}"
        self._write(self)

    def auth(self, tenant: Tenant) -> Tenant:
        self.tenant = tenant
        self.passed.append(self._clock.monotonic())
        return tenant

    def ingress(self, call: Call) -> Call:
        self.call = call
        self.passed.append(self._clock.monotonic())
        return call

    def template(self, call: Call) -> Call:
        self.call = call
        self.passed.append(self._clock.monotonic())
        return call

    def feedback(self, said: Feedback) -> Feedback:
        self.said = said
        return said

    def trial(self, result: TrialResult) -> TrialResult:
        self.tried = result
        return result

    def budget(self, hold: Held) -> None:
        self.hold = hold
        self.passed.append(self._clock.monotonic())

    def basis(self, basis: Basis) -> None:
        """What the decision will rest on, whatever it is."""
        self.based = basis

    def decide(self, decision: Decided) -> Decided:
        """Which model answers is known; in which order its deployments are tried is not."""
        self.decision, self.decided = decision, self._clock.monotonic()
        return decision

    def cache(self, claim: Claim) -> None:
        self.claim = claim
        self.passed.append(self._clock.monotonic())

    def route(self, plan: Sequence[Deployment]) -> None:
        self.plan = plan
        self.passed.append(self._clock.monotonic())

    def upstream(self, answer: Served) -> None:
        """The first chunk of an answer is in hand."""
        self.served = answer
        self.passed.append(self._clock.monotonic())
        self.attempts.served = answer.attempt

    def meter(self, bill: Bill) -> Bill:
        """Of the answer that is served. What the call has come to: its usage, and the cost of all its answers."""
        beside, served = self.attempts.paid, self.attempts.served
        if beside is not None and served is not None:
            served.paid = bill
            self.bill = self.attempts.paid
            bill = Bill(bill.usage, None if self.bill is None else self.bill.cost)
        else:
            self.bill = bill
        self.passed.append(self._clock.monotonic())
        return bill

    def hung_up(self, by: str, code: int, responses: int) -> None:
        """A session is over: who ended it, by which close code, after how many responses."""
        self.hung_up_by, self.status = HungUp(by, code, responses), 101
        if by == "client" and code == LOST:
            self.outcome = "client_abort"

    @property
    def first_byte(self) -> float | None:
        """When the answer began, in monotonic seconds."""
        return self.passed[6] if len(self.passed) > 6 else None

    def headers(self) -> Headers:
        """What is known of the answer before its first byte, as response headers."""
        served = self.served
        if served is None:
            return ()
        deployment = served.deployment
        headers = [
            ("x-llmgw-cache", self.claim.result if self.claim is not None else "bypass"),
            ("x-llmgw-attempts", str(len(self.attempts))),
            ("traceresponse", self.span.traceparent()),
        ]
        headers += self._chosen()
        if deployment.name:
            headers += (("x-llmgw-model", deployment.name), ("x-llmgw-provider", deployment.provider.name))
        if served.attempt is not None and served.attempt.dropped:
            headers.append(("x-llmgw-dropped", ", ".join(served.attempt.dropped)))
        for name in _PASSED_ON:
            if name in served.headers and _HARMLESS.fullmatch(served.headers[name]):
                headers.append((name.decode(), served.headers[name].decode()))
        return tuple(headers)

    def closing_headers(self) -> Headers:
        """What is known once the call has been settled."""
        overhead = ("x-llmgw-overhead-ms", f"{self.overhead() * 1000:.2f}")
        if self.bill is None or self.bill.cost is None:
            return (overhead,)
        return (overhead, ("x-llmgw-cost-usd", usd(self.bill.cost)))

    def overhead(self) -> float:
        """Seconds of the call so far that were ours: not a provider's, and not spent waiting to try it again."""
        now = self.ended or self._clock.monotonic()
        return now - self.received - self.attempts.elsewhere(now)

    def _failed_headers(self) -> Headers:
        headers = [("traceresponse", self.span.traceparent()), ("x-llmgw-attempts", str(len(self.attempts)))]
        return tuple(headers + self._chosen())

    def _chosen(self) -> list[tuple[str, str]]:
        """The template and the route, as far as the call has them."""
        headers = []
        if self.call is not None and self.call.prompt is not None:
            headers.append(("x-llmgw-template", self.call.prompt.label))
        if self.decision is not None and self.decision.route is not None:
            headers.append(("x-llmgw-route", self.decision.route))
        return headers

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, GatewayError):
            self.status, self.error = error.status, error
            self.outcome = outcome_of(error)
            if error.prompt is not None and self.call is not None:
                self.call = replace(self.call, prompt=error.prompt)
            if isinstance(error, KeyRefused) and self.tenant is None:
                self.tenant = error.caller
            error.headers = tuple(header for header in error.headers if header[0] not in _OWN) + self._failed_headers()
        elif isinstance(error, asyncio.CancelledError) and error.args == (SHUTTING_DOWN,):
            self.status, self.outcome = 503, "overloaded"
            self.error = Overloaded("the gateway is shutting down", code="shutting_down")
        elif isinstance(error, asyncio.CancelledError):
            self.status, self.outcome = 499, "client_abort"
            self.error = CallerError("the client closed the connection", code=CLIENT_LEFT, status=499)
        else:
            self.status, self.outcome = 500, "internal_error"
            self.error = GatewayError("internal error")


Write = Callable[[Record], None]
"""Takes a completed record off the call's path; must not block."""
