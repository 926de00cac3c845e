"""Call records in a SQLite file, written by all workers of one machine and read by the admin API.

Rows go in by statements of many rows: SQLite gives up the interpreter's lock once per statement, and on a busy worker every
such point costs milliseconds.
"""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.trace.sink import Line

FILE = "calls.sqlite"
COLUMNS = (
    "id",
    "at",
    "tenant",
    "key_id",
    "operation",
    "model",
    "route",
    "deployment",
    "provider",
    "status",
    "outcome",
    "error_code",
    "cost_nano_usd",
)
"""What calls can be found by, under the names that records give them."""
FILTERS = ("tenant", "key_id", "model", "route", "deployment", "provider", "status", "outcome", "error_code")
BUSY = 1.0
"""Seconds to wait for another worker that is writing."""
ROWS = 64
"""Rows in one statement, at most."""
STEP = 1000
"""Rows removed at once."""
PRUNE_EVERY = 60.0

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS calls(seq INTEGER PRIMARY KEY AUTOINCREMENT, {", ".join(COLUMNS)}, record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS calls_id ON calls(id);
CREATE INDEX IF NOT EXISTS calls_at ON calls(at)
"""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long call records are kept: seconds, and rows."""

    age: float = 7 * 86400.0
    rows: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Page:
    """Records, latest first. `before` continues with the older ones; None: there are none."""

    records: tuple[Mapping[str, object], ...]
    before: int | None


class Writer:
    """A sink's destination: appends to the file, which is opened, and opened again, when there is something to write."""

    def __init__(self, path: Path, retention: Retention, *, now: Callable[[], float]) -> None:
        self._path = path
        self._retention = retention
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._pruned = -math.inf

    def write(self, lines: Sequence[Line]) -> None:
        """All of them or none. Raises OSError."""
        with _as_os_error():
            try:
                self._insert(lines)
            except sqlite3.Error:
                self.close()
                raise

    def tidy(self) -> None:
        """Removes one step of what is too old or too much, once in PRUNE_EVERY seconds and until nothing is left to do."""
        if self._connection is None or time.monotonic() < self._pruned + PRUNE_EVERY:
            return
        try:
            removed = self._prune(self._connection)
        except sqlite3.Error:
            removed = 0
        if removed < STEP:
            self._pruned = time.monotonic()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _insert(self, lines: Sequence[Line]) -> None:
        if self._connection is None:
            self._connection = _open(self._path)
        with _begun(self._connection) as connection:
            rest = list(lines)
            while rest:
                rows = min(ROWS, 1 << (len(rest).bit_length() - 1))
                part, rest = rest[:rows], rest[rows:]
                values = [value for line in part for value in (*line.columns, line.json.decode())]
                connection.execute(_INSERT[rows], values)

    def _prune(self, connection: sqlite3.Connection) -> int:
        with _begun(connection):
            old = "DELETE FROM calls WHERE seq IN (SELECT seq FROM calls WHERE at < ? ORDER BY at LIMIT ?)"
            removed = connection.execute(old, (self._now() - self._retention.age, STEP)).rowcount
            many = """DELETE FROM calls WHERE seq IN
                (SELECT seq FROM calls WHERE seq <= (SELECT max(seq) FROM calls) - ? ORDER BY seq LIMIT ?)"""
            return max(removed, connection.execute(many, (self._retention.rows, STEP)).rowcount)


class Reader:
    """Looks call records up, in whatever thread it is called from. Every method raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, id: str) -> Mapping[str, object] | None:
        """The latest record of the call with this id."""
        query = "SELECT record FROM calls WHERE id = ? ORDER BY seq DESC LIMIT 1"
        rows = self._rows(query, (id,))
        return orjson.loads(rows[0][0]) if rows else None

    def latest(self, *, limit: int, before: int | None, filters: Mapping[str, str | int]) -> Page:
        """`filters` are column and value. Looks at the rows, latest first, until it has enough.

        Raises ValueError for a column that is not in FILTERS.
        """
        if unknown := filters.keys() - set(FILTERS):
            raise ValueError(f"calls cannot be filtered by {', '.join(sorted(unknown))}")
        conditions = [f"{column} = ?" for column in filters]
        values: list[object] = list(filters.values())
        if before is not None:
            conditions.append("seq < ?")
            values.append(before)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._rows(f"SELECT record, seq FROM calls {where} ORDER BY seq DESC LIMIT ?", (*values, limit + 1))
        page = rows[:limit]
        return Page(tuple(orjson.loads(record) for record, _ in page), page[-1][1] if len(rows) > limit else None)

    def _rows(self, query: str, values: tuple[object, ...]) -> list[tuple[str, int]]:
        with _as_os_error():
            connection = _open(self._path)
            try:
                return connection.execute(query, values).fetchall()
            finally:
                connection.close()


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _begun(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(str(error)) from error


def _insertion(rows: int) -> str:
    row = f"({', '.join('?' * (len(COLUMNS) + 1))})"
    return f"INSERT INTO calls({', '.join(COLUMNS)}, record) VALUES {', '.join([row] * rows)}"


_INSERT = {rows: _insertion(rows) for rows in (1 << power for power in range(ROWS.bit_length()))}
