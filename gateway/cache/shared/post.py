"""How workers reach each other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from gateway.cache.shared.letter import Letter, write
from gateway.core.boarding import Boarded


class FlightStore(Protocol):
    """See store.contract for what it promises."""

    async def board(self, name: str, mark: bytes, *, gone: bytes = b"", kept: bool = True) -> Boarded: ...

    async def renew(self, name: str, mark: bytes) -> None: ...

    async def release(self, name: str, mark: bytes) -> None: ...

    async def send(self, workers: Collection[str], letter: bytes) -> bool: ...

    async def hear(self, worker: str, told: Callable[[bytes], None], listening: Callable[[bool], None]) -> None: ...


class Post:
    def __init__(self, store: FlightStore, pepper: bytes) -> None:
        self._store = store
        self._pepper = pepper

    async def send(self, workers: Collection[str], letter: Letter) -> bool:
        """False: certainly none of them hears it. Raises Overloaded."""
        return await self._store.send(workers, write(letter, pepper=self._pepper))
