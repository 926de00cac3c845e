"""How it stands with a collector: what is said of it in the log, and how long it is left alone after it has failed."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from gateway.trace.collector.answer import Answer
from gateway.trace.collector.destination import Signal

log = logging.getLogger("llmgw.trace")

PAUSE = 1.0
"""Seconds of the first pause; each further one is twice as long, and all of them a fifth shorter or longer by chance."""
LONGEST_PAUSE = 10.0
LONGEST_ASKED = 300.0
"""Seconds of a pause that a collector asks for, at most."""
_QUIET = 60.0
"""Seconds that must pass until it is said again that a collector is away, or that it takes only a part."""


class Standing:
    """One thread's. Says it once when the collector goes away and once when it is back."""

    def __init__(
        self, signal: Signal, *, first_pause: float = PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_away = False
        self._name = signal.value[1]
        self._first_pause = first_pause
        self._clock = clock
        self._pause = first_pause
        self._is_told = False
        self._quiet_until = {"away": 0.0, "part": 0.0}

    def heard(self, answer: Answer, *, dropped: int) -> float:
        """Seconds to leave the collector alone. `dropped` is how many have been lost since the start."""
        if answer.failure is not None:
            return self._failed(answer, answer.failure)
        if self.is_away:
            self.is_away, self._pause = False, self._first_pause
            if self._is_told:
                self._is_told = False
                log.warning(f"{self._name} are exported again", extra={"dropped": dropped})
        if (answer.rejected or answer.message) and self._may_say("part"):
            about = {"rejected": answer.rejected, "collector_says": answer.message}
            took = f"the collector does not take all {self._name}" if answer.rejected else "the collector warns"
            log.warning(took, extra=about)
        return 0.0

    def _failed(self, answer: Answer, reason: str) -> float:
        if not self._is_told and self._may_say("away"):
            self._is_told = True
            log.error(f"{self._name} cannot be exported", extra={"reason": reason})
        self.is_away = True
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        if answer.retry_after is not None:
            return min(max(pause, answer.retry_after), LONGEST_ASKED)
        return pause * random.uniform(0.8, 1.2)

    def _may_say(self, what: str) -> bool:
        now = self._clock()
        if now < self._quiet_until[what]:
            return False
        self._quiet_until[what] = now + _QUIET
        return True
