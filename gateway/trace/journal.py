"""Durable call records: one row per call, in a file that can be searched and as a line of JSON on standard output.

Writing a record only puts it in a queue. Ten times a second the queue is handed to threads that write, so a record is on the
file well within a second, and a sink that is full, slow or gone delays no call: the queues are bounded, and what did not fit
is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.trace.record import Record
from gateway.trace.row import Row, row_of
from gateway.trace.sink import Line, Sink
from gateway.trace.sqlite import COLUMNS, FILE, Page, Reader, Retention, Writer
from gateway.trace.stdout import Stdout

EVERY = 0.1
"""Seconds between two hand-overs to the sinks."""
PENDING = 10_000
"""Records that wait for the next hand-over, at most."""
SLICE = 32
"""Records encoded before the event loop gets its turn."""
PATIENCE = 0.5
"""Seconds a reader waits for what was written just before."""
CLOSING = 2.0
"""Seconds that closing waits for each sink."""


T = TypeVar("T")
Observe = Callable[[Row], None]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Records lost, by where."""

    queue: int
    stdout: int
    file: int


class Journal:
    """Opened by `open_journal`; start `run` as a task, and `close` after it was cancelled."""

    def __init__(self, file: Sink, reader: Reader, stdout: Sink | None, observers: Sequence[Observe]) -> None:
        self._pending: deque[Record] = deque()
        self._overflowed = 0
        self._file = file
        self._reader = reader
        self._stdout = stdout
        self._observers = observers
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmgw-calls")

    @property
    def dropped(self) -> Dropped:
        return Dropped(self._overflowed, self._stdout.dropped if self._stdout else 0, self._file.dropped)

    def write(self, record: Record) -> None:
        """Never waits and never fails."""
        self._pending.append(record)
        if len(self._pending) > PENDING:
            self._pending.popleft()
            self._overflowed += 1

    async def run(self) -> None:
        """Hands records over until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self._hand_over()

    async def find(self, id: str) -> Mapping[str, object] | None:
        """The record of the call with this id. Raises Overloaded."""
        return await self._read(lambda: self._reader.find(id))

    async def latest(
        self, *, limit: int = 50, before: int | None = None, filters: Mapping[str, str | int] | None = None
    ) -> Page:
        """Records, latest first; see Reader.latest. Raises Overloaded."""
        return await self._read(lambda: self._reader.latest(limit=limit, before=before, filters=filters or {}))

    async def close(self) -> None:
        """Writes what is left, waiting a few seconds at most."""
        await self._hand_over()
        for sink in (self._file, self._stdout):
            if sink is not None:
                await asyncio.to_thread(sink.close, CLOSING)
        self._reading.shutdown()

    async def _hand_over(self) -> None:
        """Hands what is pending to the sinks, one slice after the other."""
        while lines := [self._line(self._pending.popleft()) for _ in range(min(SLICE, len(self._pending)))]:
            self._file.put(lines)
            if self._stdout is not None:
                self._stdout.put(lines)
            await asyncio.sleep(0)

    def _line(self, record: Record) -> Line:
        row = row_of(record)
        for observe in self._observers:
            observe(row)
        return _line(row)

    async def _read(self, look: Callable[[], T]) -> T:
        """What a look at the file gives, once what was written before has reached it."""
        await self._hand_over()

        def work() -> T:
            self._file.wait(PATIENCE)
            return look()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reading, work)
        except OSError as error:
            raise Overloaded("The call records cannot be read.", code="journal_unavailable") from error


def open_journal(
    data_folder: Path,
    *,
    stdout: int | None = 1,
    retention: Retention | None = None,
    clock: Clock | None = None,
    observers: Sequence[Observe] = (),
) -> Journal:
    """`stdout` is the descriptor that gets a line per record; None: none does. `observers` see each row, and must not fail."""
    path = data_folder / FILE
    writer = Writer(path, retention or Retention(), now=(clock or Clock()).now)
    lines = None if stdout is None else Sink("standard output", Stdout(stdout), patient=False)
    return Journal(Sink("call file", writer, patient=True), Reader(path), lines, observers)


def _line(row: Row) -> Line:
    try:
        json = orjson.dumps(row)
    except TypeError:
        row = {name: _sound(value) for name, value in row.items()}
        json = orjson.dumps(row)
    return Line(tuple([row.get(column) for column in COLUMNS]), json)


def _sound(value: object) -> object:
    """The value without lone surrogates and endless numbers, which clients can cause and no file can hold."""
    match value:
        case int() if not -(2**63) <= value < 2**63:
            return float(value)
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_sound(each) for each in value]
        case dict():
            return {name: _sound(each) for name, each in value.items()}
        case _:
            return value
