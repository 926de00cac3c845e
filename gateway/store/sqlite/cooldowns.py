"""Deployments at rest, in the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from gateway.core.clock import Clock
from gateway.store.sqlite.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS cooldowns(deployment TEXT PRIMARY KEY, until REAL NOT NULL, reason TEXT NOT NULL)
  WITHOUT ROWID
"""


class SqliteCooldowns:
    """See contract.CooldownStore."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def publish(self, deployment: str, until_utc: float, reason: str) -> None:
        now = self._clock.now()

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE changes SET number = number + 1 WHERE kind = 'cooldowns'")
            connection.execute("REPLACE INTO cooldowns VALUES(?, ?, ?)", (deployment, until_utc, reason))
            connection.execute("DELETE FROM cooldowns WHERE until <= ?", (now,))

        await self._database.write(work)

    async def cooldowns(self) -> Mapping[str, float]:
        return {deployment: until for deployment, until, _ in await self._resting()}

    async def reasons(self) -> Mapping[str, str]:
        return {deployment: reason for deployment, _, reason in await self._resting()}

    async def _resting(self) -> list[tuple[str, float, str]]:
        query = "SELECT deployment, until, reason FROM cooldowns WHERE until > ?"
        now = self._clock.now()
        return await self._database.run(lambda connection: connection.execute(query, (now,)).fetchall())
