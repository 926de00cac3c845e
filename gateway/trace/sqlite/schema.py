"""The tables of the call file, and how it is opened.

`calls` has what calls are found by, `records` each one whole, `contents` the texts of those that are captured. `kinds` are the
groups that roll-ups are counted by, `figures` their sums and histograms for each minute and each hour.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FILE = "calls.sqlite"
VERSION = 2
BUSY = 1.0
"""Seconds to wait for another worker that is writing."""
ROWS = 64
"""Rows in one statement, at most."""

COLUMNS = (
    "id",
    "span_id",
    "at",
    "org",
    "team",
    "tenant",
    "key_id",
    "user",
    "model",
    "route",
    "deployment",
    "provider",
    "status",
    "outcome",
    "cache",
    "error_code",
    "conversation",
    "trace_id",
    "stream",
    "cost_nano_usd",
    "duration_ms",
    "first_byte_ms",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "saved_nano_usd",
)
"""What calls can be found and summed up by, under the names that records give them."""
INDEXED = ("key_id", "user", "conversation", "trace_id")
"""Each with an index of its own, in the order of time: these have many values. By what has few, calls are found on the way
back in time, for an index of it would cost every call more than it saves."""
DIMENSIONS = (
    "org",
    "team",
    "tenant",
    "key_id",
    "model",
    "deployment",
    "provider",
    "route",
    "outcome",
    "cache",
    "tag",
)
"""What roll-ups are grouped by."""
SUMS = (
    "calls",
    "errors",
    "refused",
    "cache_hits",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost_nano_usd",
    "saved_nano_usd",
    "streamed_tokens",
    "streamed_ms",
)
"""What roll-ups sum up."""

_SCHEMA = f"""
CREATE TABLE calls(seq INTEGER PRIMARY KEY AUTOINCREMENT, {", ".join(COLUMNS)},
  duration_bucket, first_byte_bucket, tags TEXT, text TEXT, origin);
CREATE TABLE records(seq INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE contents(seq INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE UNIQUE INDEX calls_id ON calls(id, span_id);
CREATE INDEX calls_at ON calls(at);
CREATE INDEX calls_errors ON calls(error_code, at, provider, outcome) WHERE error_code IS NOT NULL;
{"".join(f"CREATE INDEX calls_{name} ON calls({name}, at) WHERE {name} IS NOT NULL;" for name in INDEXED)}
CREATE TABLE kinds(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, seen, {", ".join(DIMENSIONS)});
CREATE INDEX kinds_seen ON kinds(seen);
CREATE TABLE figures(layer INTEGER, at INTEGER, kind INTEGER, {", ".join(SUMS)}, durations BLOB, first_bytes BLOB,
  PRIMARY KEY(layer, at, kind)) WITHOUT ROWID;
CREATE TABLE marks(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO marks VALUES('origin', lower(hex(randomblob(8))))
"""
OLD = "calls_1"
"""What the first version's table is called while its rows are being moved."""


def open_file(path: Path) -> sqlite3.Connection:
    """The file, made or brought to this version where it is not. Raises sqlite3.Error, OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        if _version(connection) != VERSION:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            with begun(connection):
                _prepare(connection, path)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA analysis_limit=400")
    except BaseException:
        connection.close()
        raise
    return connection


def is_same(path: Path, inode: int) -> bool:
    """Whether the file there is still the one that was opened."""
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False


def has_old_rows(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (OLD,)).fetchone() is not None


@contextmanager
def begun(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A transaction that nobody else writes in."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def as_os_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(str(error)) from error


class Insertion:
    """Puts rows in, many with one statement: SQLite gives up the interpreter's lock once per statement."""

    def __init__(self, table: str, columns: Sequence[str], then: str = "") -> None:
        row = f"({', '.join('?' * len(columns))})"
        head = f"INSERT INTO {table}({', '.join(columns)}) VALUES "
        self._statements = {
            count: head + ", ".join([row] * count) + then
            for count in (1 << power for power in range(ROWS.bit_length()))
        }

    def run(self, connection: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> None:
        at = 0
        while at < len(rows):
            count = min(ROWS, 1 << ((len(rows) - at).bit_length() - 1))
            values = [value for row in rows[at : at + count] for value in row]
            connection.execute(self._statements[count], values)
            at += count


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version == VERSION:
        return
    if version > VERSION:
        raise OSError(f"{path} was written by a newer llmgw; move it away, or install that version")
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone() is not None:
        connection.execute("DROP INDEX IF EXISTS calls_id")
        connection.execute("DROP INDEX IF EXISTS calls_at")
        connection.execute(f"ALTER TABLE calls RENAME TO {OLD}")
    for statement in _SCHEMA.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={VERSION}")
