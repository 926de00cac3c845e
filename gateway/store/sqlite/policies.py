"""The policies that were in force, in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.store.contract import FILES, POLICIES
from gateway.store.sqlite.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS policies(number INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL, who TEXT NOT NULL,
  value BLOB NOT NULL)
"""


class SqlitePolicies:
    """See contract.PolicyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, version: str, who: str, value: bytes) -> None:
        def work(connection: sqlite3.Connection) -> None:
            query = "SELECT number, version, who FROM policies ORDER BY number DESC LIMIT 1"
            number, last, by = connection.execute(query).fetchone() or (0, None, None)
            if last == version and (by != FILES or who == FILES):
                return
            if last == version:
                connection.execute("DELETE FROM policies WHERE number = ?", (number,))
            connection.execute("INSERT INTO policies(version, who, value) VALUES(?, ?, ?)", (version, who, value))
            connection.execute(
                "DELETE FROM policies WHERE number NOT IN (SELECT number FROM policies ORDER BY number DESC LIMIT ?)",
                (POLICIES,),
            )

        await self._database.write(work, durable=True)

    async def kept(self) -> Sequence[bytes]:
        query = "SELECT value FROM policies ORDER BY number DESC"
        rows = await self._database.run(lambda connection: connection.execute(query).fetchall())
        return [value for (value,) in rows]
