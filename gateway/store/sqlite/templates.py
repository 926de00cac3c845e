"""Prompt templates that admins put, in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from gateway.store.sqlite.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS templates(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO changes VALUES('templates', 0)
"""
_NUMBER = "SELECT number FROM changes WHERE kind = 'templates'"


class SqliteTemplates:
    """See contract.TemplateStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> tuple[int, Mapping[str, bytes]]:
        def work(connection: sqlite3.Connection) -> tuple[int, Mapping[str, bytes]]:
            (number,) = connection.execute(_NUMBER).fetchone()
            return number, dict(connection.execute("SELECT name, value FROM templates").fetchall())

        return await self._database.write(work)

    async def change(self, values: Mapping[str, bytes | None], *, since: int) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            (number,) = connection.execute(_NUMBER).fetchone()
            if number != since:
                return False
            for name, value in values.items():
                if value is None:
                    connection.execute("DELETE FROM templates WHERE name = ?", (name,))
                else:
                    connection.execute("REPLACE INTO templates VALUES(?, ?)", (name, value))
            connection.execute("UPDATE changes SET number = number + 1 WHERE kind = 'templates'")
            return True

        return await self._database.write(work, durable=True)
