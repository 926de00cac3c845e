"""Answers kept for their Idempotency-Key, in the embedded store."""

from __future__ import annotations

import secrets
import sqlite3

import msgspec

from gateway.core.claim import Claim, Conflict, Fresh, Pending, Stored
from gateway.core.clock import Clock
from gateway.store.contract import CLAIM_LEASE, REPLAY_LIMIT, REPLAY_TTL
from gateway.store.names import replay_name
from gateway.store.sqlite.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS replays(name TEXT PRIMARY KEY, token TEXT NOT NULL, body_hash TEXT NOT NULL,
  expires REAL NOT NULL, answer BLOB);
CREATE INDEX IF NOT EXISTS replays_expires ON replays(expires)
"""
KEPT = 20_000
"""Answers that are kept; older ones make room."""
SWEEP = 50
"""Rows removed at most by one claim."""


class SqliteReplays:
    """See contract.ReplayStore."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, scope: str, key: str, body_hash: str) -> Fresh | Pending | Conflict | Stored:
        claim = Claim(name=replay_name(scope, key), token=secrets.token_hex(16), body_hash=body_hash)
        now = self._clock.now()
        return await self._database.write(lambda connection: _claim(connection, claim, now))

    async def renew(self, claim: Claim) -> bool:
        statement = "UPDATE replays SET expires = ? WHERE name = ? AND token = ? AND answer IS NULL"
        values = (self._clock.now() + CLAIM_LEASE, claim.name, claim.token)
        return await self._database.write(lambda connection: connection.execute(statement, values).rowcount == 1)

    async def finish(self, claim: Claim, answer: Stored) -> None:
        if len(answer.body) > REPLAY_LIMIT:
            await self.abandon(claim)
            return
        statement = "UPDATE replays SET expires = ?, answer = ? WHERE name = ? AND token = ?"
        values = (self._clock.now() + REPLAY_TTL, msgspec.msgpack.encode(answer), claim.name, claim.token)
        await self._database.write(lambda connection: connection.execute(statement, values))

    async def abandon(self, claim: Claim) -> None:
        statement = "DELETE FROM replays WHERE name = ? AND token = ? AND answer IS NULL"
        await self._database.write(lambda connection: connection.execute(statement, (claim.name, claim.token)))


def _claim(connection: sqlite3.Connection, claim: Claim, now: float) -> Fresh | Pending | Conflict | Stored:
    query = "SELECT body_hash, answer FROM replays WHERE name = ? AND expires > ?"
    row = connection.execute(query, (claim.name, now)).fetchone()
    if row is not None:
        body_hash, answer = row
        if body_hash != claim.body_hash:
            return Conflict()
        return Pending() if answer is None else msgspec.msgpack.decode(answer, type=Stored)
    _make_room(connection, now)
    values = (claim.name, claim.token, claim.body_hash, now + CLAIM_LEASE)
    connection.execute("REPLACE INTO replays(name, token, body_hash, expires) VALUES(?, ?, ?, ?)", values)
    return Fresh(claim)


def _make_room(connection: sqlite3.Connection, now: float) -> None:
    expired = "DELETE FROM replays WHERE rowid IN (SELECT rowid FROM replays WHERE expires <= ? LIMIT ?)"
    connection.execute(expired, (now, SWEEP))
    oldest = """DELETE FROM replays WHERE rowid IN
        (SELECT rowid FROM replays WHERE rowid <= (SELECT max(rowid) FROM replays) - ? ORDER BY rowid LIMIT ?)"""
    connection.execute(oldest, (KEPT, SWEEP))
