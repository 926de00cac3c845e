"""The embedder that is loaded into the gateway: in the background, when it is first needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.cache.semantic.desk import Desk, Unable
from gateway.cache.semantic.embedder import Embedder, Vector
from gateway.cache.semantic.weights import NotInstalled
from gateway.core.tasks import Tasks

log = logging.getLogger("llmgw.semantic")


class Local:
    """`load` runs at the desk, and may take seconds. It is not tried again."""

    def __init__(self, name: str, load: Callable[[], Embedder], desk: Desk, tasks: Tasks) -> None:
        self.name = name
        self._load = load
        self._desk = desk
        self._tasks = tasks
        self._embedder: Embedder | None = None
        self._loading: asyncio.Task[None] | None = None
        self._is_missing = False

    async def embed(self, text: str) -> Vector | None:
        """None for what it would misread. Raises Unable while it is not there."""
        if self._embedder is None:
            self.start()
            raise Unable("missing" if self._is_missing else "loading")
        embedder = self._embedder
        return await self._desk.ask(lambda: embedder.embed(text))

    def start(self) -> asyncio.Task[None]:
        """Begins to load, unless that was done; the task ends when it is there, or is known to be missing."""
        if self._loading is None:
            self._loading = self._tasks.start(self._begin(), name="load embedder")
        return self._loading

    async def _begin(self) -> None:
        try:
            self._embedder = await self._desk.run(self._load)
        except (NotInstalled, ImportError, OSError, ValueError) as error:
            log.error(
                "the embedder cannot be loaded: run `make semantic`, or see docs/semantic-cache.md",
                extra={"embedder": self.name, "reason": str(error)},
            )
        finally:
            self._is_missing = self._embedder is None
