"""Wrong keys from one address: past a rate that no mistake explains, they are told to slow down."""

from __future__ import annotations

from gateway.core.clock import Clock
from gateway.core.errors import RateLimited

PER_SECOND = 50.0
BURST = 200.0
_ADDRESSES = 10_000


class Guesses:
    """A bucket for each address. A call with a good key never comes here, so nobody is locked out by a neighbour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}

    def count(self, address: str) -> None:
        """Counts one wrong key. Raises RateLimited when there have been too many."""
        now = self._clock.monotonic()
        level, at = self._levels.pop(address, (0.0, now))
        level = max(0.0, level - (now - at) * PER_SECOND) + 1
        if len(self._levels) >= _ADDRESSES:
            del self._levels[next(iter(self._levels))]
        self._levels[address] = (min(level, BURST + PER_SECOND), now)
        if level > BURST:
            raise RateLimited("too many wrong keys came from this address", retry_after=1.0)
