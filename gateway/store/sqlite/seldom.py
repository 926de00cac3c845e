"""A file of the embedded store that most gateways have no use for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

from gateway.store.contract import OpenError, away
from gateway.store.sqlite.database import Database, Work

T = TypeVar("T")


class Seldom:
    """Opened, and made, when it is first asked for."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._opening = asyncio.Lock()
        self._database: Database | None = None

    async def run(self, work: Work[T]) -> T:
        return await (await self._opened()).run(work)

    async def write(self, work: Work[T]) -> T:
        return await (await self._opened()).write(work)

    async def close(self) -> None:
        async with self._opening:
            if self._database is not None:
                await self._database.close()

    async def _opened(self) -> Database:
        async with self._opening:
            if self._database is None:
                try:
                    self._database = await asyncio.to_thread(Database, self._path, self._schema)
                except OpenError:
                    raise away() from None
            return self._database
