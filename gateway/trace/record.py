"""The record of one call: filled in as the call goes its way, written once when it ends, however it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol

from gateway.core.attempt import Attempt
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import (
    SHUTTING_DOWN,
    BudgetExhausted,
    CallerError,
    Forbidden,
    GatewayError,
    NotFound,
    Overloaded,
    RateLimited,
    Unauthenticated,
    UpstreamError,
)
from gateway.core.money import usd
from gateway.core.tenant import Tenant
from gateway.core.usage import Usage


class Bill(Protocol):
    @property
    def usage(self) -> Usage: ...

    @property
    def cost(self) -> int | None: ...


class Held(Protocol):
    """What the call holds of budgets; `reserved_usd` in nano-USD, None where no budget in money applied."""

    @property
    def is_stopped(self) -> bool: ...

    @property
    def reserved_usd(self) -> int | None: ...


class Served(Protocol):
    """The answer a call got: from a deployment, or kept from before (then the deployment has no name)."""

    @property
    def deployment(self) -> Deployment: ...

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...


Headers = tuple[tuple[str, str], ...]
_HARMLESS = re.compile(rb"[0-9.-]{1,32}")
_PASSED_ON = (b"openai-processing-ms", b"openai-version")


class Record:
    """A context manager: leaving it, normally or by an error, completes the record and hands it to `write`."""

    __slots__ = (
        "_clock",
        "_write",
        "attempts",
        "bill",
        "call",
        "ended",
        "error",
        "first_byte",
        "hold",
        "id",
        "outcome",
        "policy",
        "received",
        "received_at",
        "route",
        "served",
        "status",
        "tenant",
    )

    def __init__(self, id: str, received: float, policy: str, *, clock: Clock, write: Write) -> None:
        self._clock = clock
        self._write = write
        self.id = id
        self.received = received
        self.received_at = clock.now() - (clock.monotonic() - received)
        self.policy = policy
        self.tenant: Tenant | None = None
        self.call: Call | None = None
        self.route: str | None = None
        self.attempts: list[Attempt] = []
        self.first_byte: float | None = None
        self.bill: Bill | None = None
        self.served: Served | None = None
        self.status = 200
        self.error: GatewayError | None = None
        self.outcome = "upstream"
        self.hold: Held | None = None
        self.ended = 0.0

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ended = self._clock.monotonic()
        if error is not None:
            self._fail(error)
        elif self.hold is not None and self.hold.is_stopped:
            self.outcome = "stopped_budget"
        elif self.served is not None and not self.served.deployment.name:
            self.outcome = "cache_replay"
        self._write(self)

    def answered(self, answer: Served) -> None:
        """Notes that the first chunk of an answer is in hand."""
        self.first_byte = self._clock.monotonic()
        self.served = answer

    def headers(self) -> Headers:
        """What is known of the answer before its first byte, as response headers."""
        served = self.served
        if served is None:
            return ()
        deployment = served.deployment
        headers = [
            ("x-llmgw-cache", "bypass" if deployment.name else "hit"),
            ("x-llmgw-attempts", str(len(self.attempts))),
        ]
        if self.route is not None:
            headers.append(("x-llmgw-route", self.route))
        if deployment.name:
            headers += (("x-llmgw-model", deployment.name), ("x-llmgw-provider", deployment.provider.name))
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
        """Seconds of the call so far that were ours and not the provider's."""
        now = self.ended or self._clock.monotonic()
        ours = now - self.received
        for attempt in self.attempts:
            ours -= (attempt.ended or now) - attempt.started
        return ours

    def as_row(self) -> dict[str, object]:
        """The durable form: plain JSON values. Times in UTC seconds or milliseconds, money in nano-USD."""
        call, tenant, bill = self.call, self.tenant, self.bill
        last = self.attempts[-1] if self.attempts else None
        return {
            "id": self.id,
            "at": round(self.received_at, 6),
            "status": self.status,
            "outcome": self.outcome,
            "error_code": self.error.code if self.error else None,
            "error": self.error.message if self.error else None,
            "tenant": tenant.name if tenant else None,
            "key_id": tenant.key_id if tenant else None,
            "key_name": tenant.key_name if tenant else None,
            "operation": call.operation.value if call else None,
            "model": call.model[:256] if call else None,
            "stream": call.stream if call else None,
            "tags": list(call.tags) if call else [],
            "conversation": call.conversation if call else None,
            "policy": self.policy,
            "route": self.route,
            "deployment": last.deployment if last else None,
            "provider": last.provider if last else None,
            "input_tokens": bill.usage.input if bill else None,
            "output_tokens": bill.usage.output if bill else None,
            "cached_tokens": bill.usage.cached if bill else None,
            "cache_write_tokens": bill.usage.details.cache_write if bill else None,
            "reasoning_tokens": bill.usage.reasoning if bill else None,
            "audio_tokens": bill.usage.details.audio_input + bill.usage.details.audio_output if bill else None,
            "estimated": bill.usage.estimated if bill else None,
            "cost_nano_usd": bill.cost if bill else None,
            "reserved_nano_usd": self.hold.reserved_usd if self.hold else None,
            "duration_ms": _milliseconds(self.ended - self.received),
            "first_byte_ms": None if self.first_byte is None else _milliseconds(self.first_byte - self.received),
            "overhead_ms": _milliseconds(self.overhead()),
            "attempts": [self._attempt(each) for each in self.attempts],
        }

    def _attempt(self, attempt: Attempt) -> dict[str, object]:
        return {
            "number": attempt.number,
            "deployment": attempt.deployment,
            "reason": attempt.reason,
            "status": attempt.status,
            "error": attempt.error,
            "detail": attempt.detail,
            "started_ms": _milliseconds(attempt.started - self.received),
            "duration_ms": _milliseconds(attempt.ended - attempt.started),
            "upstream_request_id": attempt.request_id,
        }

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, GatewayError):
            self.status, self.error = error.status, error
            self.outcome = _outcome(error)
        elif isinstance(error, asyncio.CancelledError) and error.args == (SHUTTING_DOWN,):
            self.status, self.outcome = 503, "overloaded"
            self.error = Overloaded("the gateway is shutting down", code="shutting_down")
        elif isinstance(error, asyncio.CancelledError):
            self.status, self.outcome = 499, "client_abort"
            self.error = CallerError("the client closed the connection", code="client_closed", status=499)
        else:
            self.status, self.outcome = 500, "internal_error"
            self.error = GatewayError("internal error")


_OUTCOMES: tuple[tuple[type[GatewayError], str], ...] = (
    (Unauthenticated, "rejected_auth"),
    (Forbidden, "rejected_auth"),
    (RateLimited, "rejected_rate"),
    (BudgetExhausted, "rejected_budget"),
    (NotFound, "rejected_policy"),
    (CallerError, "rejected_request"),
    (UpstreamError, "upstream_error"),
    (Overloaded, "overloaded"),
)


def _outcome(error: GatewayError) -> str:
    return next((name for kind, name in _OUTCOMES if isinstance(error, kind)), "internal_error")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


Write = Callable[[Record], None]
"""Takes a completed record off the call's path; must not block."""
