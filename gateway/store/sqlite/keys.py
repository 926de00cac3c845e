"""Virtual keys in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from gateway.core.tenant import VirtualKey
from gateway.store.sqlite.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys(id TEXT PRIMARY KEY, change INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_change ON keys(change)
"""


class SqliteKeys:
    """See contract.KeyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, *, since: int) -> tuple[int, Sequence[VirtualKey]]:
        def work(connection: sqlite3.Connection) -> tuple[int, Sequence[VirtualKey]]:
            (change,) = connection.execute("SELECT number FROM changes WHERE kind = 'keys'").fetchone()
            rows = connection.execute("SELECT body FROM keys WHERE change > ? ORDER BY change", (since,))
            return change, [_decode(body) for (body,) in rows]

        return await self._database.run(work)

    async def create(self, key: VirtualKey) -> None:
        await self._database.write(lambda connection: _put(connection, key), durable=True)

    async def revoke(self, id: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            row = connection.execute("SELECT body FROM keys WHERE id = ?", (id,)).fetchone()
            if row is None:
                return False
            _put(connection, replace(_decode(row[0]), revoked=True))
            return True

        return await self._database.write(work, durable=True)


def _put(connection: sqlite3.Connection, key: VirtualKey) -> None:
    (change,) = connection.execute(
        "UPDATE changes SET number = number + 1 WHERE kind = 'keys' RETURNING number"
    ).fetchone()
    connection.execute("REPLACE INTO keys VALUES(?, ?, ?)", (key.id, change, msgspec.json.encode(key)))


def _decode(body: bytes) -> VirtualKey:
    return msgspec.json.decode(body, type=VirtualKey)
