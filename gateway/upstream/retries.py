"""How often and how fast a call is tried again, so that retries never become the load that keeps a provider down."""

from __future__ import annotations

from random import Random

from gateway.core.errors import UpstreamError

SHARE = 0.1
"""Retries may add a tenth to a provider's load (Finagle's and gRPC's retry-budget rule)."""
_BURST = 10.0
_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 2.0


class RetryBudget:
    """A token bucket for each provider: every call puts a tenth of a token in, every retry takes one out."""

    def __init__(self) -> None:
        self._tokens: dict[str, float] = {}

    def earn(self, provider: str) -> None:
        self._tokens[provider] = min(_BURST, self._tokens.get(provider, _BURST) + SHARE)

    def spend(self, provider: str) -> bool:
        """Whether one more retry is affordable; takes it if so."""
        left = self._tokens.get(provider, _BURST)
        if left < 1:
            return False
        self._tokens[provider] = left - 1
        return True


def backoff(attempt: int, error: UpstreamError, random: Random) -> float:
    """Seconds to wait before trying the same deployment again: what it asked for, or full jitter over a doubling bound."""
    if error.retry_after is not None and error.status != 504:
        return error.retry_after
    return random.uniform(0, min(_FIRST_BACKOFF * 2**attempt, _LONGEST_BACKOFF))
