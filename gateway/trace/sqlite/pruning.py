"""Removes what is older, or more, than is to be kept: a step at a time, and no call that the roll-ups do not have."""

from __future__ import annotations

import math
import sqlite3

from gateway.trace.retention import DAY, Retention
from gateway.trace.sqlite.rollup import HOURS, MINUTES, WIDTH, rolled_until
from gateway.trace.sqlite.schema import begun

STEP = 1000
"""Rows removed at once."""
_PAGES = 2000
"""Pages given back to the disk at once."""


def prune(connection: sqlite3.Connection, retention: Retention, *, now: float) -> int:
    """How many rows a step has removed; fewer than STEP: there is nothing left to do. Raises sqlite3.Error."""
    with begun(connection):
        removed = _records(connection, STEP, before=now - retention.age)
        (count,) = connection.execute("SELECT count(*) FROM calls").fetchone()
        removed = max(removed, _records(connection, min(STEP, count - retention.rows)))
        removed = max(removed, _statistics(connection, now - retention.statistics))
        if removed < STEP and _size(connection) > retention.bytes:
            removed = _records(connection, STEP) or (0 if _has_records(connection) else _oldest_statistics(connection))
    if removed < STEP:
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        connection.execute("PRAGMA optimize")
    return removed


def _records(connection: sqlite3.Connection, most: int, *, before: float = math.inf) -> int:
    """Removes the oldest."""
    if most <= 0:
        return 0
    query = "SELECT seq FROM calls WHERE at < ? AND +seq <= ? ORDER BY at LIMIT ?"
    chosen = connection.execute(query, (before, rolled_until(connection), most)).fetchall()
    for table in ("calls", "records", "contents"):
        connection.executemany(f"DELETE FROM {table} WHERE seq = ?", chosen)
    return len(chosen)


def _has_records(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM calls LIMIT 1").fetchone() is not None


def _statistics(connection: sqlite3.Connection, before: float) -> int:
    removed = 0
    for layer in WIDTH:
        removed = max(removed, _minutes(connection, layer, before))
    if removed < STEP:
        connection.execute("DELETE FROM kinds WHERE seen < ?", (before - DAY,))
    return removed


def _oldest_statistics(connection: sqlite3.Connection) -> int:
    """Removes an hour of them."""
    (oldest,) = connection.execute("SELECT min(at) FROM figures WHERE layer = ?", (MINUTES,)).fetchone()
    return _statistics(connection, oldest + WIDTH[HOURS]) if oldest is not None else 0


def _minutes(connection: sqlite3.Connection, layer: int, before: float) -> int:
    """Removes whole minutes, until a step is full."""
    removed = 0
    while removed < STEP:
        query = "SELECT min(at) FROM figures WHERE layer = ?"
        (at,) = connection.execute(query, (layer,)).fetchone()
        if at is None or at >= before:
            break
        removed += connection.execute("DELETE FROM figures WHERE layer = ? AND at = ?", (layer, at)).rowcount
    return removed


def _size(connection: sqlite3.Connection) -> int:
    """Bytes of the file that are in use."""
    names = ("page_size", "page_count", "freelist_count")
    size, count, free = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    used: int = size * (count - free)
    return used
