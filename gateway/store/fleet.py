"""How many workers there are, all replicas together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from gateway.core.errors import Overloaded

EVERY = 2.0


class Versions(Protocol):
    async def versions(self) -> Mapping[str, str]: ...


class Fleet:
    """Counts those that have announced themselves; the last count holds while the store is away."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._size = 1

    def size(self) -> int:
        return self._size

    async def run(self) -> None:
        """Counts until it is cancelled."""
        while True:
            with suppress(Overloaded):
                self._size = max(1, len(await self._versions.versions()))
            await asyncio.sleep(EVERY)
