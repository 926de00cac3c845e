"""The orders to forget answers, in the file that holds the answers. Each function runs in a transaction of the caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.core.purge import Purge
from gateway.store import orders
from gateway.store.contract import PURGE_TTL, PURGES

SCHEMA = """
CREATE TABLE IF NOT EXISTS purges(number INTEGER PRIMARY KEY, at REAL NOT NULL, marks BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS last_purge(one INTEGER PRIMARY KEY CHECK(one = 1), number INTEGER NOT NULL)
"""
LAST = "SELECT number FROM last_purge"


def begin(connection: sqlite3.Connection, *, highest: int, now: float) -> int:
    """Begins the list anew where there is none, or none that reaches `highest`. The number of the last order."""
    row = connection.execute(LAST).fetchone()
    if row is not None and row[0] >= highest:
        return int(row[0])
    number = max(highest + 1, int(now * 1000))
    _add(connection, number, orders.EVERYTHING, now)
    return number


def give(connection: sqlite3.Connection, purge: Purge, *, highest: int, now: float) -> int:
    number = begin(connection, highest=highest, now=now) + 1
    _add(connection, number, orders.write(purge), now)
    connection.execute("DELETE FROM purges WHERE at <= ?", (now - PURGE_TTL,))
    _merge(connection)
    return number


def given(connection: sqlite3.Connection, *, since: float) -> Sequence[Purge]:
    rows = connection.execute("SELECT number, marks FROM purges WHERE at > ? ORDER BY number", (since,))
    return [orders.read(number, marks) for number, marks in rows]


def _add(connection: sqlite3.Connection, number: int, marks: bytes, now: float) -> None:
    connection.execute("INSERT INTO purges VALUES(?, ?, ?)", (number, now, marks))
    connection.execute("REPLACE INTO last_purge VALUES(1, ?)", (number,))


def _merge(connection: sqlite3.Connection) -> None:
    """Of too many, the two oldest become one that forgets everything before the younger of them."""
    query = "SELECT number FROM purges ORDER BY number DESC LIMIT 2 OFFSET ?"
    oldest = [number for (number,) in connection.execute(query, (PURGES - 1,))]
    if len(oldest) == 2:
        connection.execute("DELETE FROM purges WHERE number < ?", (oldest[0],))
        connection.execute("UPDATE purges SET marks = ? WHERE number = ?", (orders.EVERYTHING, oldest[0]))
