"""Durable call records: one row per call, in a file that can be searched and as a line of JSON on standard output.

Writing a record only puts it in a queue. Before the event loop waits again it is in the spool, which outlives the process;
some times a second the queue is handed to threads that write. A sink that is full, slow or gone delays no call: the queues are
bounded, and what did not fit is counted.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.core.clock import Clock
from gateway.trace.reading.calls import Calls
from gateway.trace.reading.search import Search
from gateway.trace.record import Record
from gateway.trace.retention import Retention
from gateway.trace.row import Row, row_of, storable
from gateway.trace.sink import Line, Sink
from gateway.trace.spool.files import FEW, Spool, open_spool
from gateway.trace.spool.leftovers import take_over
from gateway.trace.spool.under_way import UnderWay
from gateway.trace.sqlite.reader import Page, Reader
from gateway.trace.sqlite.schema import FILE
from gateway.trace.sqlite.writer import Writer
from gateway.trace.stdout import Stdout

EVERY = 0.1
"""Seconds between two hand-overs to the sinks."""
PENDING = 10_000
"""Records that wait for the next hand-over, at most."""
SLICE = 200
"""Records encoded before the event loop gets its turn."""
PATIENCE = 0.5
"""Seconds a reader waits for what was written just before."""
ELSEWHERE = 1.5
"""Seconds after which the record of a call is here, whichever worker or replica made it: see sharing.EVERY."""
CLOSING = 2.0
"""Seconds that closing waits for each sink, and for what is being taken over."""
TAKE_OVER = 10.0
"""Seconds between two looks for what workers that died have left."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Records lost, by where; `spool`: those that would be lost if the worker died at once."""

    queue: int
    stdout: int
    file: int
    spool: int


Observe = Callable[[Row], None]


@dataclass(frozen=True, slots=True)
class Sinks:
    """`taker` writes to the same file what workers that died have left; in a thread of its own."""

    file: Sink
    stdout: Sink | None
    taker: Writer


class Journal:
    """Opened by `open_journal`; start `run` as a task, and `close` after it was cancelled. `calls` reads what was written."""

    def __init__(
        self,
        data_folder: Path,
        sinks: Sinks,
        reader: Reader,
        spool: Spool,
        clock: Clock,
        observers: Sequence[Observe] = (),
    ) -> None:
        self._data_folder = data_folder
        self._sinks = sinks
        self._spool = spool
        self._clock = clock
        self._observers = observers
        self._under_way = UnderWay()
        self._pending: deque[Record] = deque()
        self._lines: deque[Line] = deque()
        self._encoded = 0
        self._overflowed = 0
        self._lost = 0
        self._is_encoding = False
        self._is_ending = False
        self._taking: asyncio.Future[list[Line]] | None = None
        self.calls = Calls(reader, self._settled)

    @property
    def dropped(self) -> Dropped:
        file, stdout = self._sinks.file, self._sinks.stdout
        return Dropped(self._overflowed + self._lost, stdout.dropped if stdout else 0, file.dropped, self._spool.missed)

    @property
    def active(self) -> int:
        """Calls under way."""
        return len(self._under_way)

    def begin(self, record: Record) -> None:
        """A call is under way; should its worker die, it has a record all the same."""
        self._under_way.begin(record)

    def write(self, record: Record) -> None:
        """Never waits and never fails."""
        self._under_way.end(record)
        self._pending.append(record)
        if len(self._pending) > PENDING:
            self._pending.popleft()
            self._lost += 1
        if not self._is_encoding:
            self._is_encoding = True
            asyncio.get_running_loop().call_soon(self._encode)

    async def run(self) -> None:
        """Hands records over until it is cancelled."""
        await asyncio.gather(self._hand_over_often(), self._take_over_often())

    async def find(self, id: str) -> Mapping[str, object] | None:
        """The record of the call with this id, which may have ended just now, and elsewhere. Raises Overloaded."""
        return await self.calls.find(id, within=ELSEWHERE)

    async def latest(
        self, *, limit: int = 50, before: int | None = None, filters: Mapping[str, str] | None = None
    ) -> Page:
        """Records, latest first, that have these values. Raises Overloaded."""
        return await self.calls.latest(Search(equal=filters or {}), limit=limit, before=before)

    async def close(self) -> None:
        """Writes what is left, waiting a few seconds at most."""
        await self._hand_over()
        self._is_ending = True
        if self._taking is not None:
            await asyncio.wait([self._taking], timeout=CLOSING)
        sinks = self._sinks
        for sink in (sinks.file, sinks.stdout):
            if sink is not None:
                await asyncio.to_thread(sink.close, CLOSING)
        self._spool.note_anew(self._under_way.all_notes())
        is_settled = sinks.file.settled == self._encoded and not sinks.file.dropped and not self._under_way
        self._spool.close(settled=is_settled)
        self.calls.close()
        if self._taking is None or self._taking.done():
            sinks.taker.close()

    async def _hand_over_often(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._hand_over()
            self._spool.note(self._under_way.notes(self._clock.monotonic()))
            if self._under_way.ended > FEW or (self._spool.has_notes and not self._under_way):
                self._spool.note_anew(self._under_way.all_notes())
            file = self._sinks.file
            settled, dropped = file.settled + self._overflowed, file.dropped + self._overflowed
            self._spool.turn(appended=self._encoded, settled=settled, dropped=dropped)

    async def _take_over_often(self) -> None:
        while True:
            work = asyncio.to_thread(take_over, self._data_folder, self._add, lambda: self._is_ending)
            self._taking = asyncio.ensure_future(work)
            self._show(await asyncio.shield(self._taking))  # their worker has shown the others
            await asyncio.sleep(TAKE_OVER)

    def _add(self, lines: Sequence[Line]) -> Sequence[Line]:
        """Takes over lines of a worker that died; those that are new. Blocks: not for the event loop."""
        found = self._sinks.taker.add(lines)
        if found and self._sinks.stdout is not None:
            self._sinks.stdout.put(found)
            self._sinks.stdout.wait(PATIENCE)
        return found

    def _encode(self) -> None:
        """Puts what is pending into the spool, a slice in each turn of the event loop."""
        lines = [_line(self._pending.popleft()) for _ in range(min(SLICE, len(self._pending)))]
        if lines:
            self._spool.append(b"".join([line.json + b"\n" for line in lines]), len(lines))
        self._encoded += len(lines)
        self._lines.extend(lines)
        while len(self._lines) > PENDING:
            self._lines.popleft()
            self._overflowed += 1
        self._is_encoding = bool(self._pending)
        if self._pending:
            asyncio.get_running_loop().call_soon(self._encode)

    async def _hand_over(self) -> None:
        """Hands what is pending to the sinks, one slice after the other."""
        while self._pending:
            self._encode()
            await asyncio.sleep(0)
        while lines := [self._lines.popleft() for _ in range(min(SLICE, len(self._lines)))]:
            self._sinks.file.put(lines)
            if self._sinks.stdout is not None:
                self._sinks.stdout.put(lines)
            self._show(lines)
            await asyncio.sleep(0)

    def _show(self, lines: Iterable[Line]) -> None:
        for line in lines:
            for observe in self._observers:
                observe(line.row)

    async def _settled(self) -> None:
        """Once what was written before is in the file, or after PATIENCE seconds."""
        await self._hand_over()
        await asyncio.to_thread(self._sinks.file.wait, PATIENCE)


def open_journal(
    data_folder: Path,
    *,
    stdout: int | None = 1,
    retention: Retention | None = None,
    clock: Clock | None = None,
    observers: Sequence[Observe] = (),
) -> Journal:
    """`stdout` is the descriptor that gets a line per record; None: none does. `observers` see each row, and must not fail.

    Raises OSError.
    """
    path, clock, kept = data_folder / FILE, clock or Clock(), retention or Retention()
    spool = open_spool(data_folder, f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")
    lines = None if stdout is None else Sink("standard output", Stdout(stdout), patient=False)
    file = Sink("call file", Writer(path, kept, now=clock.now), patient=True)
    sinks = Sinks(file, lines, taker=Writer(path, kept, now=clock.now))
    return Journal(data_folder, sinks, Reader(path), spool, clock, observers)


def _line(record: Record) -> Line:
    row = row_of(record)
    try:
        json = orjson.dumps(row)
    except TypeError:
        row = {name: storable(value) for name, value in row.items()}
        json = orjson.dumps(row)
    return Line(row, json)
