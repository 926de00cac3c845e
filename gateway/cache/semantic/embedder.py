"""Texts as vectors of length 1: their product says how near two texts are in meaning.

An embedder says None to a text that it would misread: longer than it looks, or with letters that it does not know. Such a text
is near to others for the wrong reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

MOST_TOKENS = 64
"""Of a question. All before the last question belongs to the partition; a longer one is found by its exact key alone."""

Vector: TypeAlias = NDArray[np.float32]


class Embedder(Protocol):
    """`name` changes whenever the vectors would: it is part of every partition."""

    name: str
    dimensions: int

    def embed(self, text: str) -> Vector | None: ...


class Background:
    """An embedder that loads at its first use, in the thread that then also runs it; until it is there nothing is embedded."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._load = load
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        self._loading: asyncio.Future[Embedder] | None = None

    @property
    def is_ready(self) -> bool:
        return self._loading is not None and self._loading.done() and self.failure is None

    @property
    def failure(self) -> BaseException | None:
        """Why it could not be loaded. It is not tried again."""
        loading = self._loading
        return loading.exception() if loading is not None and loading.done() and not loading.cancelled() else None

    def start(self) -> asyncio.Future[Embedder]:
        """Begins to load, unless that was done. The future is the embedder, or fails as the loading did."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(self._thread, self._load)
        return self._loading

    async def embed(self, text: str) -> Vector | None:
        """None for what cannot be embedded, and for everything until the weights are loaded."""
        loading = self.start()
        if not loading.done() or loading.cancelled() or loading.exception() is not None:
            return None
        return await asyncio.get_running_loop().run_in_executor(self._thread, loading.result().embed, text)

    def close(self) -> None:
        """Lets the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def unit(vector: Vector) -> Vector | None:
    """The vector at length 1, or None if it has no direction."""
    length = float(np.sqrt(vector @ vector))
    return vector / np.float32(length) if np.isfinite(length) and length > 0 else None
