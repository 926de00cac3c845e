"""Who answered last in conversations, in the embedded store: a file of its own, made when it is first used."""

from __future__ import annotations

from pathlib import Path
from sqlite3 import Connection

from gateway.core.clock import Clock
from gateway.store.sqlite.seldom import Seldom

FILE = "pins.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS pins(name TEXT PRIMARY KEY, value BLOB NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pins_expire ON pins(expires)
"""
SWEPT = 16
"""Rows that have expired and are taken away at each writing."""


class SqlitePins:
    """See contract.PinStore."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._file = Seldom(folder / FILE, SCHEMA)
        self._clock = clock

    async def get(self, name: str) -> bytes | None:
        query, values = "SELECT value FROM pins WHERE name = ? AND expires > ?", (name, self._clock.now())
        row = await self._file.run(lambda connection: connection.execute(query, values).fetchone())
        return None if row is None else row[0]

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        now = self._clock.now()
        expired = "DELETE FROM pins WHERE name IN (SELECT name FROM pins WHERE expires <= ? ORDER BY expires LIMIT ?)"

        def work(connection: Connection) -> None:
            connection.execute(expired, (now, SWEPT))
            connection.execute("REPLACE INTO pins VALUES(?, ?, ?)", (name, value, now + ttl))

        await self._file.write(work)

    async def close(self) -> None:
        await self._file.close()
