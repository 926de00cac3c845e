"""Background tasks that are kept, named, and whose failures are logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger("llmgw.tasks")

AGAIN = 5.0
"""Seconds after which a task that goes on is cancelled once more."""

T = TypeVar("T")


class Tasks:
    """Owns every background task of a worker; `close` cancels and awaits what still runs."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, work: Coroutine[Any, Any, T], *, name: str) -> T:
        """Awaits work that must not be left half done: whoever is cancelled meanwhile hears of it at the next await."""
        task = self.start(work, name=name)
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None and (waiting := asyncio.current_task()) is not None:
            waiting.cancel(*cancelled.args)  # told at its next await, with the result in hand
        return task.result()

    def __len__(self) -> int:
        return len(self._running)

    async def close(self) -> None:
        """A task that lost its cancellation to an error of what it was closing is cancelled again."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=AGAIN)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", extra={"task": task.get_name()}, exc_info=error)
