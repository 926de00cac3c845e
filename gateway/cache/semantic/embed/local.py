"""The embedder that is loaded into the gateway: in the background, when it is first needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.cache.semantic.desk import Desk, Unable
from gateway.cache.semantic.embedder import Embedder, Vector
from gateway.cache.semantic.weights import NotInstalled

log = logging.getLogger("llmgw.semantic")


class Local:
    """`load` runs at the desk, and may take seconds. It is not tried again."""

    def __init__(self, name: str, load: Callable[[], Embedder], desk: Desk) -> None:
        self.name = name
        self._load = load
        self._desk = desk
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
            self._loading = asyncio.get_running_loop().create_task(self._begin(), name="load embedder")
        return self._loading

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    async def _begin(self) -> None:
        try:
            self._embedder = await self._desk.run(self._load)
        except (NotInstalled, ImportError, OSError, ValueError, RuntimeError) as error:  # also onnxruntime's own
            self._is_missing = True
            log.error("the embedder cannot be loaded", extra={"embedder": self.name, "reason": str(error)})
        except Unable:
            self._is_missing = True
