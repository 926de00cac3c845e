"""Moves the rows of the file's first version, some at a time, so that nobody waits for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import orjson

from gateway.trace.sink import Line
from gateway.trace.sqlite.entry import Entry, entry_of
from gateway.trace.sqlite.schema import OLD, has_old_rows

ORIGIN = "version 1"
"""What the rows are marked with, so that they are not sent to other replicas as what has just happened."""
STEP = 500
"""Rows moved at once."""


def move(connection: sqlite3.Connection, insert: Callable[[Sequence[Entry]], object]) -> bool:
    """Moves one step, the latest first; whether there may be more. Within a transaction."""
    if not has_old_rows(connection):
        return False
    rows = connection.execute(f"SELECT seq, record FROM {OLD} ORDER BY seq DESC LIMIT ?", (STEP,)).fetchall()
    if not rows:
        connection.execute(f"DROP TABLE {OLD}")
        return False
    insert([entry_of(_line(seq, record)) for seq, record in rows])
    connection.execute(f"DELETE FROM {OLD} WHERE seq >= ?", (rows[-1][0],))
    return True


def _line(seq: int, record: str) -> Line:
    """Rows had no spans once, and the caller's id alone may have come twice."""
    row = orjson.loads(record)
    if row.get("span_id") is None:
        row["span_id"] = f"version-1-{seq}"
    return Line(row, record.encode())
