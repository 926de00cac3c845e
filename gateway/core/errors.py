"""Errors by fault, each carrying its answer as data.

GatewayError
  CallerError     InvalidRequest (Unsayable) · KeyRefused (Unauthenticated · Forbidden) · NotFound · Conflict · RateLimited ·
                  BudgetExhausted: the caller can mend it
  UpstreamError   Rejected (their 4xx, final) · Unavailable · Timeout (retriable where nothing can have been done twice) ·
                  Broken (after the first chunk)
  Overloaded      ours: try again later
Anything else that is raised is a bug.
"""

from __future__ import annotations

from typing import Self

from gateway.core.prompt import Prompt
from gateway.core.tenant import Tenant


class GatewayError(Exception):
    """`status`, `type`, `code`, `param` and `headers` are what the client gets; `retry_after` is in seconds.

    `should_retry` becomes `x-should-retry`: True, False, or None for no hint. `retriable` is for our own retries.
    `fault` says whose it is: the `gateway`'s, the `caller`'s or the `upstream`'s. `prompt` is the template that could not be put
    round the call.
    """

    fault = "gateway"
    status = 500
    type = "server_error"
    code = "internal_error"
    param: str | None = None
    retriable = False
    should_retry: bool | None = None
    retry_after: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    prompt: Prompt | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        type: str | None = None,
        retry_after: float | None = None,
        retriable: bool | None = None,
        should_retry: bool | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers
        if code is not None:
            self.code = code
        if param is not None:
            self.param = param
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type
        if retry_after is not None:
            self.retry_after = retry_after
        if retriable is not None:
            self.retriable = retriable
        if should_retry is not None:
            self.should_retry = should_retry


class CallerError(GatewayError):
    fault = "caller"
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    should_retry = False


class InvalidRequest(CallerError):
    """The request is not one we can act on; `code` and `param` say why, `status` may narrow it (413, 415, 431, 505 …)."""


class Unsayable(InvalidRequest):
    """What the call asks for cannot be said to this provider; another may have words for it."""


class KeyRefused(CallerError):
    """`caller` is whose key it is, where that is known: for the record, and never for the client."""

    caller: Tenant | None = None

    def of(self, caller: Tenant) -> Self:
        self.caller = caller
        return self


class Unauthenticated(KeyRefused):
    status = 401
    code = "invalid_api_key"


class Forbidden(KeyRefused):
    status = 403
    code = "permission_denied"


class NotFound(CallerError):
    status = 404
    code = "not_found"


class Conflict(CallerError):
    """`code` says with what."""

    status = 409


class RateLimited(CallerError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    should_retry = True


class BudgetExhausted(CallerError):
    """A hard budget is spent, or what is left of it does not cover the call. SDKs would try it again at once: they must not."""

    status = 429
    type = "insufficient_quota"
    code = "budget_exceeded"


CLIENT_LEFT = "client_disconnected"
"""The code of whatever ended because its client hung up."""
SUPERSEDED = "superseded"
"""The code of an attempt that was stopped because another answer was there first, and the message it is cancelled with."""


class Overloaded(GatewayError):
    """We cannot serve this now, whoever asks: draining, no healthy deployment, or the key store is away."""

    status = 503
    code = "overloaded"
    should_retry = True
    retry_after = 1.0


SHUTTING_DOWN = "shutting down"
"""The message with which a call is cancelled when the gateway, and not its client, goes."""


class UpstreamError(GatewayError):
    """`detail` is for the record and the log, and never for the client."""

    fault = "upstream"
    status = 502
    code = "upstream_error"
    detail: str | None = None


class Rejected(UpstreamError):
    """The provider refused the call itself (4xx): final, and passed on in our envelope."""

    fault = "caller"
    status = 400
    type = "invalid_request_error"
    should_retry = False


class Unavailable(UpstreamError):
    """The provider answered with a failure, or was not reached at all."""

    retriable = True


class Timeout(UpstreamError):
    status = 504
    code = "upstream_timeout"
    should_retry = True
    retry_after = 1.0


class Broken(UpstreamError):
    """The answer stopped or went wrong after its first chunk, or is not an answer at all."""

    code = "upstream_truncated"
    should_retry = False
