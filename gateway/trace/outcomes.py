"""What became of a call, in a word."""

from __future__ import annotations

from gateway.core.errors import (
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

TRIAL = "trial"
"""Of what is no call: what came of asking somebody else one. It counts nowhere among calls."""

_OF_ERRORS: tuple[tuple[type[GatewayError], str], ...] = (
    (Unauthenticated, "rejected_auth"),
    (Forbidden, "rejected_auth"),
    (RateLimited, "rejected_rate"),
    (BudgetExhausted, "rejected_budget"),
    (NotFound, "rejected_policy"),
    (CallerError, "rejected_request"),
    (UpstreamError, "upstream_error"),
    (Overloaded, "overloaded"),
)


def outcome_of(error: GatewayError) -> str:
    return next((name for kind, name in _OF_ERRORS if isinstance(error, kind)), "internal_error")
