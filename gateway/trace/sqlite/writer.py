"""Puts call records and their roll-ups into the file, each record once, however often it comes."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gateway.trace.retention import Retention
from gateway.trace.sink import Line
from gateway.trace.sqlite.attempts import count_attempts
from gateway.trace.sqlite.entry import MADE, Entry, entry_of, sound
from gateway.trace.sqlite.migration import ORIGIN, move
from gateway.trace.sqlite.pruning import STEP, prune
from gateway.trace.sqlite.rollup import STEP as ROLLED
from gateway.trace.sqlite.rollup import roll_up
from gateway.trace.sqlite.schema import COLUMNS, ROWS, Insertion, as_os_error, begun, has_old_rows, is_same, open_file

PRUNE_EVERY = 60.0
ROLL_EVERY = 2.0
MOVING = 0.25
"""Seconds of moving rows of an older version between two batches."""


class Writer:
    """A sink's destination, for one thread. The file is opened when there is something to write, and again when it is another."""

    def __init__(self, path: Path, retention: Retention, *, now: Callable[[], float]) -> None:
        self._path = path
        self._retention = retention
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._pruned = -math.inf
        self._rolled = time.monotonic()
        self._has_old_rows = False

    def write(self, lines: Sequence[Line]) -> None:
        """All of them or none. Raises OSError."""
        self.add(lines)

    def add(
        self, lines: Sequence[Line], *, origin: str | None = None, marks: Mapping[str, object] | None = None
    ) -> Sequence[Line]:
        """Those that are new, with `marks` in the same transaction. `origin` is the replica they come from, if another.

        Raises OSError, having done nothing.
        """
        with as_os_error():
            try:
                return self._added(lines, origin, marks or {})
            except (OverflowError, UnicodeError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
                return self._added([Line(sound(line.row), line.json) for line in lines], origin, marks or {})
            except sqlite3.Error:
                self.close()
                raise

    def tidy(self) -> None:
        """Rolls up, and does a few steps of moving rows of an older version, or one of removing what is too old or too much."""
        if self._connection is None:
            return
        try:
            is_behind, is_due = False, time.monotonic() >= self._pruned + PRUNE_EVERY
            if is_due or time.monotonic() >= self._rolled + ROLL_EVERY:
                with begun(self._connection):
                    is_behind = roll_up(self._connection) == ROLLED
                self._rolled = self._rolled if is_behind else time.monotonic()
            if self._has_old_rows:
                self._has_old_rows = _move(self._connection, time.monotonic() + MOVING)
            elif is_due and not is_behind:
                removed = prune(self._connection, self._retention, now=self._now())
                if removed < STEP:
                    self._pruned = time.monotonic()
        except sqlite3.Error:
            self._pruned = time.monotonic()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _added(self, lines: Sequence[Line], origin: str | None, marks: Mapping[str, object]) -> Sequence[Line]:
        with begun(self._opened()) as connection:
            fresh = insert(connection, [entry_of(line) for line in lines], origin=origin)
            for name, value in marks.items():
                connection.execute("REPLACE INTO marks VALUES(?, ?)", (name, value))
        return fresh

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and not is_same(self._path, self._inode):
            self.close()
        if self._connection is None:
            self._connection = open_file(self._path)
            self._inode = self._path.stat().st_ino
            self._has_old_rows = has_old_rows(self._connection)
        return self._connection


def insert(connection: sqlite3.Connection, entries: Sequence[Entry], *, origin: str | None) -> Sequence[Line]:
    """Puts in those that the file does not have; these. Within a transaction."""
    unique = {entry.key: entry for entry in reversed(entries)}  # of two, the first holds
    known = _known(connection, list(unique))
    fresh = [entry for key, entry in reversed(unique.items()) if key not in known]
    if not fresh:
        return ()
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").fetchone()
    first = (last[0] if last else 0) + 1
    _CALLS.run(connection, [(first + number, *entry.columns, origin) for number, entry in enumerate(fresh)])
    _RECORDS.run(connection, [(first + number, entry.line.json.decode()) for number, entry in enumerate(fresh)])
    contents = [(first + number, entry.content) for number, entry in enumerate(fresh) if entry.content]
    _CONTENTS.run(connection, contents)
    count_attempts(connection, [entry.line.row for entry in fresh])
    return [entry.line for entry in fresh]


def _known(connection: sqlite3.Connection, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for at in range(0, len(keys), ROWS):
        ids = [id for id, _ in keys[at : at + ROWS]]
        query = f"SELECT id, span_id FROM calls WHERE id IN ({', '.join('?' * len(ids))})"
        found.update(connection.execute(query, ids).fetchall())
    return found


def _move(connection: sqlite3.Connection, until: float) -> bool:
    """Whether there may be more."""
    more = True
    while more and time.monotonic() < until:
        with begun(connection):
            more = move(connection, lambda entries: insert(connection, entries, origin=ORIGIN))
    return more


_CALLS = Insertion("calls", ("seq", *COLUMNS, *MADE, "origin"))
_RECORDS = Insertion("records", ("seq", "record"))
_CONTENTS = Insertion("contents", ("seq", "text"))
