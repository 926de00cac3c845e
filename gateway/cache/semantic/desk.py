"""The one thread that embeds and searches, so that the event loop does not, with a short queue before it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

WAITING = 24
"""Pieces of work that may wait: of 3 ms each, they are done before a call would give up."""

T = TypeVar("T")

log = logging.getLogger("llmgw.semantic")


class Unable(Exception):
    """It cannot be told what is near; `reason` is a word in asked.REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Desk:
    """What is begun is done, even when the caller has given up; what has not begun by then is not. `failed` counts failures."""

    def __init__(self, *, waiting: int = WAITING) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmgw-semantic")
        self._most = waiting
        self._waiting = 0
        self._is_closed = False
        self.failed = 0

    async def ask(self, work: Callable[[], T]) -> T:
        """Raises Unable when too much waits, and when the work fails: models run other people's code, and no call ends by it."""
        if self._waiting >= self._most:
            raise Unable("busy")
        (result,) = await asyncio.gather(self._begin(work), return_exceptions=True)
        if not isinstance(result, BaseException):
            return result
        if isinstance(result, Unable):
            raise result
        if isinstance(result, asyncio.CancelledError):  # it was closed before this had begun
            raise Unable("off")
        if not self.failed:
            log.error("what embeds or searches failed; further failures are only counted", exc_info=result)
        self.failed += 1
        raise Unable("failed")

    async def run(self, work: Callable[[], T]) -> T:
        """As `ask`, however much waits: for what nobody waits for. Raises Unable once it is closed."""
        return await self._begin(work)

    def close(self) -> None:
        """Lets the thread end with what it has begun."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._is_closed:
            raise Unable("off")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: object) -> None:
        self._waiting -= 1
