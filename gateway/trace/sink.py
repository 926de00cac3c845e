"""A thread that writes lines somewhere, and a bounded queue in front of it: whoever puts lines in never waits."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.trace.row import Row

LINES = 10_000
BYTES = 64 * 1024 * 1024
"""What the queue holds at most; the oldest make room, and are counted."""
BATCH = 500
"""Lines written at once."""
AGAIN = 0.5
"""Seconds between two attempts to write lines that must not be lost."""
IDLE = 1.0
"""Seconds without a line after which there is time to tidy."""

log = logging.getLogger("llmgw.trace")


@dataclass(frozen=True, slots=True)
class Line:
    """One record, and the same as JSON in UTF-8."""

    row: Row
    json: bytes


class Destination(Protocol):
    """Where lines are written; used by the sink's thread alone."""

    def write(self, lines: Sequence[Line]) -> None:
        """All of them, or raises OSError."""
        ...

    def tidy(self) -> None:
        """Called after each batch and when there is none, for what can wait."""
        ...

    def close(self) -> None: ...


class Sink:
    """Owns its destination. `patient` writes the same lines again when that failed; else they are dropped."""

    def __init__(self, name: str, destination: Destination, *, patient: bool) -> None:
        self.dropped = 0
        self._name = name
        self._destination = destination
        self._patient = patient
        self._queue: deque[Line] = deque()
        self._bytes = 0
        self._put = 0
        self._writing = 0
        self._failing = False
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"llmgw-{name}", daemon=True)
        self._thread.start()

    def put(self, lines: Sequence[Line]) -> None:
        with self._changed:
            self._queue.extend(lines)
            self._put += len(lines)
            self._bytes += sum(len(line.json) for line in lines)
            self._trim()
            self._changed.notify_all()

    @property
    def settled(self) -> int:
        """How many of the lines that were put in are written, or dropped."""
        with self._changed:
            return self._put - len(self._queue) - self._writing

    def wait(self, seconds: float) -> bool:
        """Whether everything put in so far was written within that time. Blocks: not for the event loop."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._queue or self._writing), seconds)

    def close(self, seconds: float) -> None:
        """Writes what is queued, for at most that time; what then is left is dropped. Blocks."""
        finished = self.wait(seconds)
        with self._changed:
            self._closing.set()
            self.dropped += len(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        if finished:
            self._thread.join(seconds)

    def _work(self) -> None:
        while not self._closing.is_set() or self._queue:
            if batch := self._next():
                try:
                    self._destination.write(batch)
                except OSError as error:
                    self._failed(batch, error)
                else:
                    self._succeeded()
            self._destination.tidy()
        self._destination.close()

    def _next(self) -> Sequence[Line]:
        """The next lines, once there are some; none when there are none for a while, or when closing."""
        with self._changed:
            self._writing = 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._queue) or self._closing.is_set(), IDLE)
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._bytes -= sum(len(line.json) for line in batch)
            self._writing = len(batch)
            return batch

    def _succeeded(self) -> None:
        if self._failing:
            self._failing = False
            log.warning("call records are written again", extra={"sink": self._name, "dropped": self.dropped})

    def _failed(self, batch: Sequence[Line], error: OSError) -> None:
        if not self._failing:
            self._failing = True
            log.error("call records cannot be written", extra={"sink": self._name, "reason": str(error)})
        if not self._patient:
            self.dropped += len(batch)
            return
        with self._changed:
            self._writing = 0
            self._queue.extendleft(reversed(batch))
            self._bytes += sum(len(line.json) for line in batch)
            self._trim()
        self._closing.wait(AGAIN)

    def _trim(self) -> None:
        while len(self._queue) > LINES or self._bytes > BYTES:
            self._bytes -= len(self._queue.popleft().json)
            self.dropped += 1
