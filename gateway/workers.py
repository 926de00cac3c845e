"""Several processes on one port: started by forking, restarted when they die, and told of every signal."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

log = logging.getLogger("llmgw.workers")

_FASTEST_RESTART = 1.0
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Work = Callable[[int], int]
"""Runs worker number N to its end and gives its exit code."""


class Workers:
    """Forks before any event loop or thread exists, so that the workers share the memory of what has been imported."""

    def __init__(self, count: int, work: Work) -> None:
        self._count = count
        self._work = work
        self._numbers: dict[int, int] = {}
        self._is_stopping = False

    def run(self) -> int:
        """Returns when all workers have ended after a signal: 0 if each ended well."""
        for each in _PASSED_ON:
            signal.signal(each, self._pass_on)
        for number in range(self._count):
            self._start(number)
        worst = 0
        while self._numbers:
            began = time.monotonic()
            pid, status = os.wait()
            if pid not in self._numbers:
                continue  # an orphan that process 1 has been left with
            number = self._numbers.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if self._is_stopping:
                worst = worst or code
                continue
            log.error("a worker died and is started again", extra={"worker": number, "exit_code": code})
            time.sleep(max(0.0, _FASTEST_RESTART - (time.monotonic() - began)))
            if not self._is_stopping:
                self._start(number)
        return worst

    def _start(self, number: int) -> None:
        pid = os.fork()
        if pid:
            self._numbers[pid] = number
            return
        for each in _PASSED_ON:
            signal.signal(each, signal.SIG_DFL)
        code = 1
        try:
            code = self._work(number)
        finally:
            os._exit(code)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = self._is_stopping or number != signal.SIGHUP
        for pid in tuple(self._numbers):
            os.kill(pid, number)
