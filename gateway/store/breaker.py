"""Keeps callers from waiting for a store that is known to be away, and says so once in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

FAILURES = 5
"""Failures in a row that open it."""
TROUBLE = 0.25
"""Seconds without a success, from the first failure on, that open it."""
PROBE = 0.5
"""Seconds between two attempts while it is open."""

log = logging.getLogger("llmgw.store")


class Breaker:
    """Closed, it admits every command; open, one in PROBE seconds. `monotonic` gives seconds."""

    def __init__(self, name: str, monotonic: Callable[[], float]) -> None:
        self._name = name
        self._monotonic = monotonic
        self._failures = 0
        self._since = 0.0
        self._open = False
        self._probe = 0.0

    def admits(self) -> bool:
        now = self._monotonic()
        if self._open and now < self._probe:
            return False
        self._probe = now + PROBE
        return True

    def succeeded(self) -> None:
        if self._open:
            log.warning("the store answers again", extra={"store": self._name})
        self._failures, self._open = 0, False

    def failed(self, reason: object) -> None:
        now = self._monotonic()
        if self._failures == 0:
            self._since = now
        self._failures += 1
        if not self._open and (self._failures >= FAILURES or now - self._since >= TROUBLE):
            self._open = True
            self._probe = now + PROBE
            log.error("the store is away", extra={"store": self._name, "reason": str(reason)})
