"""Kept answers in the embedded store: a file of its own, which holds the orders to forget them too.

So whoever loses the orders loses the answers, and what is slow or damaged here keeps no budget waiting.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.purge import Purge
from gateway.store.contract import PURGE_TTL, CacheSize
from gateway.store.sqlite import orders
from gateway.store.sqlite.replaceable import Replaceable

FILE = "cache.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS answers(place INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, expires REAL NOT NULL,
  size INTEGER NOT NULL, value BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS answers_expires ON answers(expires);
CREATE TABLE IF NOT EXISTS room(one INTEGER PRIMARY KEY CHECK(one = 1), entries INTEGER NOT NULL, bytes INTEGER NOT NULL,
  dropped INTEGER NOT NULL);
INSERT OR IGNORE INTO room VALUES(1, 0, 0, 0)
"""
ROOM = 256 * 1024 * 1024
"""Bytes that all answers may take."""
ROW = 200
"""Bytes that an answer takes besides its own, about."""
BLOCK = 4096
"""Bytes that SQLite writes together; an answer that is larger than a third of that has whole ones."""
SWEEP = 50
"""Answers that are looked at together when room is made."""
PAGE = 8 * 1024 * 1024
"""Bytes after which a page ends."""
GET = "SELECT value FROM answers WHERE name = ? AND expires > ?"


class SqliteCache:
    """See contract.CacheStore. `get` reads on the event loop: a thread would take longer than the file does."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._file = Replaceable(folder / FILE, SCHEMA + ";" + orders.SCHEMA)
        self._clock = clock
        self._highest = 0

    async def open(self) -> None:
        await self._file.follow()

    async def get(self, name: str) -> bytes | None:
        row = self._file.read(GET, (_bytes(name), self._clock.now()))
        return None if row is None else row[0]

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        if not ttl > 0:
            return
        now = self._clock.now()
        expires = now + min(ttl, PURGE_TTL)
        await self._file.write(lambda connection: _put(connection, _bytes(name), value, expires, now))

    async def remove(self, names: Collection[str]) -> int:
        def work(connection: sqlite3.Connection) -> int:
            return sum(_remove(connection, "name = ?", (_bytes(name),)) for name in names)

        return await self._file.write(work)

    async def page(
        self, *, org: str = "", after: str = "", limit: int = 100
    ) -> tuple[Sequence[tuple[str, bytes]], str]:
        prefix = _bytes(org + ":") if org else b""
        begin, end = max(prefix, _bytes(after)), _bytes(org + ";") if org else b"\xff"
        query = "SELECT name, value FROM answers WHERE name > ? AND name < ? AND expires > ? ORDER BY name"

        def work(connection: sqlite3.Connection) -> tuple[Sequence[tuple[str, bytes]], str]:
            found: list[tuple[str, bytes]] = []
            size = 0
            for name, value in connection.execute(query, (begin, end, self._clock.now())):
                found.append((name.decode("utf-8", "surrogatepass"), value))
                size += len(value)
                if len(found) >= limit or size >= PAGE:
                    return found, found[-1][0]
            return found, ""

        return await self._file.run(work)

    async def size(self) -> CacheSize:
        query = "SELECT entries, bytes, dropped FROM room"
        return CacheSize(*await self._file.run(lambda connection: connection.execute(query).fetchone()))

    async def order(self, purge: Purge) -> int:
        now, highest = self._clock.now(), self._highest
        number = await self._file.write(lambda file: orders.give(file, purge, highest=highest, now=now), durable=True)
        self._highest = max(self._highest, number)
        return number

    async def orders(self) -> Sequence[Purge]:
        since = self._clock.now() - PURGE_TTL
        given = await self._file.run(lambda connection: orders.given(connection, since=since))
        self._highest = max([self._highest, *(order.number for order in given)])
        return given

    async def last_order(self) -> int | None:
        """The number of the last order; None: it cannot be told now."""
        await self._file.follow()
        try:
            row = self._file.read(orders.LAST)
            number = -1 if row is None else int(row[0])
            if number < max(self._highest, 0):
                number = await self._begin()
        except Overloaded:
            return None
        self._highest = max(self._highest, number)
        return number

    async def close(self) -> None:
        await self._file.close()

    async def _begin(self) -> int:
        now, highest = self._clock.now(), self._highest
        return await self._file.write(
            lambda connection: orders.begin(connection, highest=highest, now=now), durable=True
        )


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _put(connection: sqlite3.Connection, name: bytes, value: bytes, expires: float, now: float) -> None:
    size = _room(name, value)
    _remove(connection, "name = ?", (name,))
    if size > ROOM:
        _count(connection, dropped=1)
        return
    _remove(connection, "expires <= ? ORDER BY expires LIMIT ?", (now, SWEEP))
    while _taken(connection) + size > ROOM:
        gone = _remove(connection, "expires <= ? ORDER BY expires LIMIT ?", (now, SWEEP))
        if not gone:
            oldest = _remove(connection, "TRUE ORDER BY place LIMIT ?", (SWEEP,))
            _count(connection, dropped=oldest)
    statement = "INSERT INTO answers(name, expires, size, value) VALUES(?, ?, ?, ?)"
    connection.execute(statement, (name, expires, size, value))
    _count(connection, entries=1, size=size)


def _room(name: bytes, value: bytes) -> int:
    size = len(name) + len(value) + ROW
    return size if size <= BLOCK / 3 else math.ceil(size / BLOCK) * BLOCK


def _remove(connection: sqlite3.Connection, which: str, values: Sequence[object]) -> int:
    """How many there were."""
    statement = f"DELETE FROM answers WHERE place IN (SELECT place FROM answers WHERE {which}) RETURNING size"
    sizes = [size for (size,) in connection.execute(statement, values)]
    if sizes:
        _count(connection, entries=-len(sizes), size=-sum(sizes))
    return len(sizes)


def _taken(connection: sqlite3.Connection) -> int:
    (taken,) = connection.execute("SELECT bytes FROM room").fetchone()
    return int(taken)


def _count(connection: sqlite3.Connection, *, entries: int = 0, size: int = 0, dropped: int = 0) -> None:
    statement = "UPDATE room SET entries = entries + ?, bytes = bytes + ?, dropped = dropped + ?"
    connection.execute(statement, (entries, size, dropped))
