"""The embedded store, whole."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from pathlib import Path

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.secret import Secret
from gateway.store.contract import Changes, OpenError
from gateway.store.sqlite import cache, cooldowns, keys, ledger, policies, replays, templates, versions
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.meanings import SqliteMeanings
from gateway.store.sqlite.pins import SqlitePins
from gateway.store.sqlite.responses import SqliteResponses

FILE = "store.sqlite"
OPENING = 5.0
"""Seconds for which opening keeps trying."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes(kind TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO changes VALUES('keys', 0), ('cooldowns', 0)
"""


class SqliteStore:
    """See contract.Store. Changes are seen by asking: a question costs some ten microseconds."""

    def __init__(
        self,
        database: Database,
        kept: cache.SqliteCache,
        meanings: SqliteMeanings,
        pins: SqlitePins,
        responses: SqliteResponses,
        pepper: Secret,
        clock: Clock,
    ) -> None:
        self._database = database
        self.cache = kept
        self.meanings = meanings
        self.pins = pins
        self.responses = responses
        self.calls = None
        self.flights = None
        self.pepper = pepper
        self.keys = keys.SqliteKeys(database)
        self.cooldowns = cooldowns.SqliteCooldowns(database, clock)
        self.replays = replays.SqliteReplays(database, clock)
        self.versions = versions.SqliteVersions(database, clock)
        self.policies = policies.SqlitePolicies(database)
        self.templates = templates.SqliteTemplates(database)
        self.ledger = ledger.SqliteLedger(database, clock)

    async def changes(self) -> Changes:
        query = "SELECT kind, number FROM changes"
        numbers = dict(await self._database.run(lambda connection: connection.execute(query).fetchall()))
        purges = await self.cache.last_order()
        return Changes(numbers["keys"], numbers["cooldowns"], purges, numbers["templates"])

    async def pushed(self, *, within: float) -> None:
        await asyncio.sleep(within)

    async def close(self) -> None:
        await self.cache.close()
        await self.meanings.close()
        await self.pins.close()
        await self.responses.close()
        await self._database.close()


async def open_sqlite(data_folder: Path, *, pepper: Secret | None, clock: Clock) -> SqliteStore:
    """The store in this folder, made when there is none; `pepper` None: the one it keeps. Raises OpenError."""
    parts = (keys, cooldowns, replays, versions, policies, templates, ledger)
    schema = ";".join([SCHEMA, *(part.SCHEMA for part in parts)])
    database = await asyncio.to_thread(Database, data_folder / FILE, schema)
    try:
        async with asyncio.timeout(OPENING):
            kept = await _begun(database)
    except TimeoutError:
        await database.close()
        raise OpenError(f"{data_folder / FILE} is held by another process; end that, or wait.") from None
    answers = cache.SqliteCache(data_folder, clock)
    await answers.open()
    meanings, pins = SqliteMeanings(data_folder, clock), SqlitePins(data_folder, clock)
    responses = SqliteResponses(data_folder, clock)
    return SqliteStore(database, answers, meanings, pins, responses, pepper or kept, clock)


async def _begun(database: Database) -> Secret:
    """Keeps trying: workers that start together write in turn."""
    while True:
        try:
            return await database.write(_prepared, durable=True)
        except Overloaded:
            await asyncio.sleep(0.1)


def _prepared(connection: sqlite3.Connection) -> Secret:
    made = secrets.token_hex(32)
    ledger.note_boot(connection)
    connection.execute("INSERT OR IGNORE INTO secrets VALUES('pepper', ?)", (made,))
    (kept,) = connection.execute("SELECT value FROM secrets WHERE name = 'pepper'").fetchone()
    return Secret(kept)
