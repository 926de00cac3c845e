"""How many calls are under way."""

from __future__ import annotations

from gateway.trace.record import Record, Write


class ActiveCalls:
    """Counts up where a record is begun, and down where it is written: `write` takes the place of the one it is given."""

    def __init__(self, write: Write) -> None:
        self.count = 0
        self._write = write

    def begin(self) -> None:
        self.count += 1

    def write(self, record: Record) -> None:
        self.count -= 1
        self._write(record)
