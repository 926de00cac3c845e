"""The one thread that embeds and searches, so that the event loop does not, with a short queue before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

WAITING = 24
"""Pieces of work that may wait: of 3 ms each, they are done before a call would give up."""

T = TypeVar("T")


class Unable(Exception):
    """It cannot be told what is near; `reason` is a word in asked.REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Desk:
    """What is begun is done, even when the caller has given up; what has not begun by then is not."""

    def __init__(self, *, waiting: int = WAITING) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmgw-semantic")
        self._most = waiting
        self._waiting = 0
        self._is_closed = False

    async def ask(self, work: Callable[[], T]) -> T:
        """Raises Unable when too much waits."""
        if self._waiting >= self._most:
            raise Unable("busy")
        return await self.run(work)

    async def run(self, work: Callable[[], T]) -> T:
        """As `ask`, however much waits: for what nobody waits for. Raises Unable once it is closed."""
        if self._is_closed:
            raise Unable("off")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        future.add_done_callback(self._ended)
        return await future

    def close(self) -> None:
        """Lets the thread end with what it has begun."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ended(self, _: object) -> None:
        self._waiting -= 1
