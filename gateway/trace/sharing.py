"""Shows every replica the calls of all: what this machine's workers write goes to a stream, and what is there of others comes
into this machine's file.

Both begin again where they stopped, and the file takes each record once, so nothing is lost or doubled however often the stream
goes away; but for records older than what it keeps. Run by one worker of each machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Protocol, TypeVar

import orjson

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.trace.retention import Retention
from gateway.trace.sqlite.entry import foreign
from gateway.trace.sqlite.reader import Reader
from gateway.trace.sqlite.schema import FILE
from gateway.trace.sqlite.writer import Writer

EVERY = 0.5
"""Seconds between two looks, where there is nothing new."""
BATCH = 50
"""Records sent at once."""
PAGE = 200
"""Records received at once."""
LARGEST = 128 * 1024
"""Bytes sent at once, and of a record; a larger one goes without its content, or not at all."""
LOOKED = 10
"""Looks at nothing new after which the stream is asked whether it has begun anew, or lost what was not received."""
BEGINNING = "0-0"
_SENT, _RECEIVED, _COUNTED = "shared", "followed", "counted"

T = TypeVar("T")
log = logging.getLogger("llmgw.trace")


class Stream(Protocol):
    """See store.contract.CallStream."""

    async def append(self, origin: str, records: Sequence[bytes], *, keep: int) -> None: ...

    async def after(self, place: str, *, limit: int) -> Sequence[tuple[str, str, bytes]]: ...

    async def end(self) -> tuple[str, int]: ...


class Sharing:
    """`keep` is how many records the stream has at most, about. `dropped` counts those too large to be sent, `missed` those
    that the stream no longer had when this machine came to ask for them."""

    def __init__(self, data_folder: Path, stream: Stream, *, keep: int, clock: Clock) -> None:
        self.dropped = 0
        self.missed = 0
        self._stream = stream
        self._keep = keep
        self._started_at = clock.now()
        self._reader = Reader(data_folder / FILE)
        self._writer = Writer(data_folder / FILE, Retention(), now=clock.now)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmgw-sharing")

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            await asyncio.gather(self._send_all(), self._receive_all())
        finally:
            await asyncio.to_thread(self._thread.shutdown)
            self._reader.close()
            self._writer.close()

    async def _send_all(self) -> None:
        place: int | None = None
        while True:
            with suppress(Overloaded, OSError):
                if place is None:
                    place = await self._begin_to_send()
                while (reached := await self._send(place)) != place:
                    place = reached
            await asyncio.sleep(EVERY)

    async def _receive_all(self) -> None:
        place: str | None = None
        looks = 0
        while True:
            with suppress(Overloaded, OSError):
                if place is None:
                    place = str(await self._do(lambda: self._reader.mark(_RECEIVED)) or BEGINNING)
                while (reached := await self._receive(place)) != place:
                    place, looks = reached, 0
                if looks % LOOKED == 0:
                    place = await self._compare(place)
                looks += 1
            await asyncio.sleep(EVERY)

    async def _begin_to_send(self) -> int:
        """Where this machine stopped; at first, with what comes from now on."""
        sent = await self._do(lambda: self._reader.mark(_SENT))
        return int(sent) if sent is not None else await self._do(lambda: self._reader.arrived_before(self._started_at))

    async def _send(self, place: int) -> int:
        """Sends the next records; the place reached. Raises Overloaded, OSError."""
        if await self._do(self._reader.last) < place:
            log.warning("the file of call records has begun anew")
            place = 0
        records, reached = await self._do(lambda: self._reader.own(place, limit=BATCH))
        if reached == place:
            return place
        origin = await self._do(lambda: self._reader.mark("origin"))
        for part in self._parts(records):
            await self._stream.append(str(origin), part, keep=self._keep)
        await self._do(lambda: self._writer.add((), marks={_SENT: reached}))
        return reached

    async def _receive(self, place: str) -> str:
        """Takes the next records of others; the place reached. Raises Overloaded, OSError."""
        page = await self._stream.after(place, limit=PAGE)
        if not page:
            return place
        reached = page[-1][0]

        def work() -> None:
            mine = self._reader.mark("origin")
            others = [(origin, json) for _, origin, json in page if origin != mine]
            for origin, group in groupby(others, key=lambda each: each[0]):
                lines = [foreign(json) for _, json in group]
                self._writer.add([line for line in lines if line is not None], origin=origin)
            counted = self._reader.mark(_COUNTED)
            known = {} if counted is None else {_COUNTED: counted + len(page)}
            self._writer.add((), marks={_RECEIVED: reached, **known})

        await self._do(work)
        return reached

    async def _compare(self, place: str) -> str:
        """Where to go on from this place, beyond which there was nothing. Counts what was cut off before it was received.

        Raises Overloaded, OSError.
        """
        end, added = await self._stream.end()
        if _order(end) < _order(place):
            log.warning("the stream of call records has begun anew")
            await self._do(lambda: self._writer.add((), marks={_COUNTED: 0}))
            return BEGINNING
        counted = await self._do(lambda: self._reader.mark(_COUNTED))
        if end != place or counted == added:
            return place
        if counted is not None and added > counted:
            self.missed += added - counted
            log.warning(
                "calls of other replicas were cut off before they came here", extra={"records": added - counted}
            )
        await self._do(lambda: self._writer.add((), marks={_COUNTED: added}))
        return place

    def _parts(self, records: Iterable[bytes]) -> list[list[bytes]]:
        parts: list[list[bytes]] = []
        size = LARGEST
        for record in records:
            sent = record if len(record) <= LARGEST else _without_content(record)
            if len(sent) > LARGEST:
                self.dropped += 1
                continue
            if size + len(sent) > LARGEST:
                parts.append([])
                size = 0
            parts[-1].append(sent)
            size += len(sent)
        return parts

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _without_content(record: bytes) -> bytes:
    return orjson.dumps({**orjson.loads(record), "content": None})


def _order(place: str) -> tuple[int, int]:
    milliseconds, _, number = place.partition("-")
    return int(milliseconds), int(number or 0)
