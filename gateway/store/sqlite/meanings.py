"""What the semantic cache shares in the embedded store: a file of its own, made when it is first used."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from sqlite3 import Connection

from gateway.core.clock import Clock
from gateway.core.neighbour import Logged, Versioned
from gateway.store.contract import EARNED_TTL, NEIGHBOURS, REMOVAL_TTL
from gateway.store.sqlite.seldom import Seldom

FILE = "semantic.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS neighbours(
  number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, value BLOB, expires REAL NOT NULL);
CREATE INDEX IF NOT EXISTS neighbours_expires ON neighbours(expires);
CREATE TABLE IF NOT EXISTS earned(name TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL, at REAL NOT NULL)
  WITHOUT ROWID
"""
SWEPT = 200
"""Rows that are swept away at most at once."""


class SqliteMeanings:
    """See contract.MeaningStore."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._file = Seldom(folder / FILE, SCHEMA)
        self.neighbours = SqliteNeighbours(self._file, clock)
        self.earned = SqliteEarned(self._file, clock)

    async def nearest(self) -> None:
        return None

    async def close(self) -> None:
        await self._file.close()


class SqliteNeighbours:
    """See contract.NeighbourStore. A place is a row's number."""

    def __init__(self, file: Seldom, clock: Clock, *, most: int = NEIGHBOURS) -> None:
        self._file = file
        self._clock = clock
        self._most = most

    async def add(self, name: str, value: bytes, *, expires: float) -> None:
        now = self._clock.now()
        if expires <= now:
            return

        def work(connection: Connection) -> None:
            _sweep(connection, now, 16)
            _replace(connection, name, value, expires)
            _shorten(connection, self._most)

        await self._file.write(work)

    async def remove(self, names: Collection[str]) -> None:
        expires = self._clock.now() + REMOVAL_TTL

        def work(connection: Connection) -> None:
            for name in names:
                _replace(connection, name, None, expires)
            _shorten(connection, self._most)

        await self._file.write(work)

    async def remove_org(self, org: str) -> None:
        expires = self._clock.now() + REMOVAL_TTL
        query = "SELECT name FROM neighbours WHERE name >= ? AND name < ? AND value IS NOT NULL"

        def work(connection: Connection) -> None:
            for (name,) in connection.execute(query, (f"{org}:", f"{org};")).fetchall():
                _replace(connection, name, None, expires)

        await self._file.write(work)

    async def after(self, place: str, *, limit: int) -> tuple[Sequence[Logged], str]:
        query = "SELECT number, name, value FROM neighbours WHERE number > ? ORDER BY number LIMIT ?"
        values = (int(place or 0), limit)
        rows = await self._file.run(lambda connection: connection.execute(query, values).fetchall())
        return [Logged(name, value) for _, name, value in rows], str(rows[-1][0]) if rows else place

    async def sweep(self) -> None:
        now = self._clock.now()
        await self._file.write(lambda connection: _sweep(connection, now, SWEPT))


class SqliteEarned:
    """See contract.EarnedStore."""

    def __init__(self, file: Seldom, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    async def get(self, name: str) -> Versioned | None:
        query = "SELECT value, version FROM earned WHERE name = ? AND at > ?"
        values = (name, self._clock.now() - EARNED_TTL)
        row = await self._file.run(lambda connection: connection.execute(query, values).fetchone())
        return None if row is None else Versioned(*row)

    async def put(self, name: str, value: bytes, *, version: int) -> bool:
        now = self._clock.now()

        def work(connection: Connection) -> bool:
            connection.execute("DELETE FROM earned WHERE at <= ?", (now - EARNED_TTL,))
            held = connection.execute("SELECT version FROM earned WHERE name = ?", (name,)).fetchone()
            if (0 if held is None else held[0]) != version:
                return False
            connection.execute("REPLACE INTO earned VALUES(?, ?, ?, ?)", (name, version + 1, value, now))
            return True

        return await self._file.write(work)


def _replace(connection: Connection, name: str, value: bytes | None, expires: float) -> None:
    connection.execute("DELETE FROM neighbours WHERE name = ?", (name,))
    connection.execute("INSERT INTO neighbours(name, value, expires) VALUES(?, ?, ?)", (name, value, expires))


def _sweep(connection: Connection, now: float, most: int) -> None:
    expired = "DELETE FROM neighbours WHERE number IN (SELECT number FROM neighbours WHERE expires <= ? LIMIT ?)"
    connection.execute(expired, (now, most))


def _shorten(connection: Connection, most: int) -> None:
    (count,) = connection.execute("SELECT count(*) FROM neighbours").fetchone()
    oldest = "DELETE FROM neighbours WHERE number IN (SELECT number FROM neighbours ORDER BY number LIMIT ?)"
    if count > most:
        connection.execute(oldest, (count - most,))
