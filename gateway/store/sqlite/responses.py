"""Responses that their clients may go on from, in the embedded store: a file of its own, made when it is first used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection

from gateway.core.clock import Clock
from gateway.store.sqlite.seldom import Seldom

FILE = "responses.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS responses(place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, expires REAL NOT NULL,
  size INTEGER NOT NULL, value BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS responses_expire ON responses(expires);
CREATE TABLE IF NOT EXISTS room(one INTEGER PRIMARY KEY CHECK(one = 1), bytes INTEGER NOT NULL);
INSERT OR IGNORE INTO room VALUES(1, 0)
"""
ROOM = 1024 * 1024 * 1024
"""Bytes that all of them may take; of more, the oldest are gone."""
ROW = 300
"""Bytes that one takes besides its own, about."""
SWEPT = 16
"""Rows that have expired and are taken away at each writing."""


class SqliteResponses:
    """See kinds.responses.ResponseStore."""

    def __init__(self, folder: Path, clock: Clock, *, room: int = ROOM) -> None:
        self._file = Seldom(folder / FILE, SCHEMA)
        self._clock = clock
        self._room = room

    async def get(self, name: str) -> bytes | None:
        query, values = "SELECT value FROM responses WHERE name = ? AND expires > ?", (name, self._clock.now())
        row = await self._file.run(lambda connection: connection.execute(query, values).fetchone())
        return None if row is None else row[0]

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        now, size = self._clock.now(), len(value) + ROW

        def work(connection: Connection) -> None:
            _remove(connection, "expires <= ? ORDER BY expires LIMIT ?", (now, SWEPT))
            _remove(connection, "name = ?", (name,))
            added = "INSERT INTO responses(name, expires, size, value) VALUES(?, ?, ?, ?)"
            connection.execute(added, (name, now + ttl, size, value))
            connection.execute("UPDATE room SET bytes = bytes + ?", (size,))
            while connection.execute("SELECT bytes FROM room").fetchone()[0] > self._room:
                if not _remove(connection, "TRUE ORDER BY place LIMIT ?", (1,)):
                    return

        await self._file.write(work)

    async def remove(self, name: str) -> bool:
        values = (name, self._clock.now())
        return await self._file.write(lambda connection: _remove(connection, "name = ? AND expires > ?", values) > 0)

    async def close(self) -> None:
        await self._file.close()


def _remove(connection: Connection, which: str, values: Sequence[object]) -> int:
    """How many there were."""
    statement = f"DELETE FROM responses WHERE place IN (SELECT place FROM responses WHERE {which}) RETURNING size"
    sizes = [size for (size,) in connection.execute(statement, values)]
    connection.execute("UPDATE room SET bytes = bytes - ?", (sum(sizes),))
    return len(sizes)
