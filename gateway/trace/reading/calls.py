"""The records of calls, as admins ask for them: read in threads, so that no question holds a call up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson

from gateway.core.errors import Overloaded
from gateway.trace.reading.beside import whole
from gateway.trace.reading.search import Search
from gateway.trace.reading.statistics import Question
from gateway.trace.sqlite.reader import Followed, Page, Reader

THREADS = 3
CHUNK = 500
"""Records read at once where all are wanted."""
EVERY = 0.2
"""Seconds between two looks for what has come."""
AGAIN = 0.05
"""Seconds before a record is looked for a second time; twice as long before each further time."""
BACKLOG = 500
"""Records that a slow reader may be behind."""
TAILS = 32

T = TypeVar("T")


class Calls:
    """Every method raises Overloaded where the file cannot be read. `settle` waits for what was written just before."""

    def __init__(self, reader: Reader, settle: Callable[[], Awaitable[None]]) -> None:
        self._reader = reader
        self._settle = settle
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="llmgw-calls")
        self._tails = 0

    async def find(self, id: str, *, within: float = 0.0) -> dict[str, Any] | None:
        """The latest record of the call with this id, waited for so many seconds: another worker may be about to write it."""
        await self._settle()
        loop, pause = asyncio.get_running_loop(), AGAIN
        until = loop.time() + within
        while (found := await self._look(lambda: self._reader.find(id))) is None and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(pause, left))
            pause *= 2
        return None if found is None else orjson.loads(found)

    async def whole(self, id: str) -> dict[str, Any] | None:
        """The same with what was asked beside it; see beside.whole."""
        return await self._read(lambda: whole(self._reader, id))

    async def latest(self, search: Search, *, limit: int = 50, before: int | None = None) -> Page:
        """By when the calls arrived, latest first."""
        return await self._read(lambda: self._reader.latest(search, limit=limit, before=before))

    async def statistics(self, question: Question) -> list[dict[str, Any]]:
        return await self._read(lambda: self._reader.statistics(question))

    async def cache(self, *, since: int, until: int, step: int) -> dict[str, Any]:
        """What the cache did, by route and over time."""
        return await self._read(lambda: self._reader.cache(since=since, until=until, step=step))

    async def errors(self, *, since: float, until: float) -> list[dict[str, Any]]:
        return await self._read(lambda: self._reader.errors(since=since, until=until))

    async def attempts(self, *, since: float, until: float) -> dict[str, dict[str, Any]]:
        """By deployment, how its attempts went."""
        return await self._read(lambda: self._reader.attempts(since=since, until=until))

    async def all(self, search: Search) -> AsyncIterator[Sequence[bytes]]:
        """Every record that there is now, as JSON, oldest first, some at a time."""
        place = await self._read(self._reader.begin)
        while True:
            lines, place = await self._look(lambda place=place: self._reader.next(search, place, limit=CHUNK))  # type: ignore[misc]
            if not lines:
                return
            yield lines

    async def tail(self, search: Search) -> AsyncGenerator[Followed, None]:
        """What comes from now on, whichever worker writes it; a look every EVERY seconds, nothing in it or not.

        Nothing is queued for a reader who is slow: what has come in the meantime is found in the file, the last BACKLOG of it.
        """
        if self._tails >= TAILS:
            raise Overloaded(f"{TAILS} others are following the calls.", code="too_many_tails")
        self._tails += 1
        try:
            seq = await self._look(self._reader.last)
            yield Followed((), seq, 0)
            while True:
                await asyncio.sleep(EVERY)
                followed = await self._look(lambda seq=seq: self._reader.since(search, seq, limit=BACKLOG))  # type: ignore[misc]
                seq = followed.seq
                yield followed
        finally:
            self._tails -= 1

    def close(self) -> None:
        self._threads.shutdown()
        self._reader.close()

    async def _read(self, look: Callable[[], T]) -> T:
        await self._settle()
        return await self._look(look)

    async def _look(self, look: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, look)
        except TimeoutError as error:
            message = "The question takes too long; ask for less, or for a shorter time."
            raise Overloaded(message, code="question_too_large", should_retry=False) from error
        except OSError as error:
            raise Overloaded("The call records cannot be read.", code="journal_unavailable") from error
