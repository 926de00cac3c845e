"""Which instance runs which policy version, in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from gateway.core.clock import Clock
from gateway.store.contract import INSTANCE_TTL
from gateway.store.sqlite.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS versions(instance TEXT PRIMARY KEY, version TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID
"""


class SqliteVersions:
    """See contract.VersionStore."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def announce(self, instance: str, version: str) -> None:
        now = self._clock.now()

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("REPLACE INTO versions VALUES(?, ?, ?)", (instance, version, now))
            connection.execute("DELETE FROM versions WHERE at <= ?", (now - INSTANCE_TTL,))

        await self._database.write(work)

    async def versions(self) -> Mapping[str, str]:
        query = "SELECT instance, version FROM versions WHERE at > ?"
        since = self._clock.now() - INSTANCE_TTL
        return dict(await self._database.run(lambda connection: connection.execute(query, (since,)).fetchall()))
