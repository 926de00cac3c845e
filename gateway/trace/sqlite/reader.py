"""Looks calls up in the file, in whatever thread it is called from."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.trace.reading.search import Search
from gateway.trace.reading.statistics import Question
from gateway.trace.sqlite.attempts import recent_attempts
from gateway.trace.sqlite.caching import cache_figures
from gateway.trace.sqlite.conditions import conditions
from gateway.trace.sqlite.rollup import roll_up
from gateway.trace.sqlite.schema import as_os_error, begun, is_same, open_file
from gateway.trace.sqlite.statistics import Answering

LONGEST = 10.0
"""Seconds that a question may take."""
_LOOK = 100_000
"""Steps of SQLite's machine between two looks at the clock."""
_MOST_ERRORS = 200
FEW = 20
LARGEST = 4 * 1024 * 1024
"""Bytes of records after which a page is full, however few they are."""
COUNTING = 1.0
"""Seconds that a question of statistics spends on counting calls that the roll-ups do not have yet."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records as JSON. `before` continues with the older ones; None: there are none."""

    lines: tuple[bytes, ...]
    before: int | None

    @property
    def records(self) -> tuple[Mapping[str, Any], ...]:
        return tuple([orjson.loads(line) for line in self.lines])


@dataclass(frozen=True, slots=True)
class Followed:
    """Records as JSON, in the order in which they came, up to place `seq`; `dropped` earlier ones were left out."""

    lines: tuple[bytes, ...]
    seq: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader of all records stands; `last` is the newest when it began."""

    at: float
    seq: int
    last: int


class Reader:
    """Every method raises OSError, and TimeoutError for a question that takes longer than LONGEST."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = threading.local()
        self._open: set[sqlite3.Connection] = set()

    def find(self, id: str) -> bytes | None:
        """The latest record of the call with this id."""
        query = "SELECT record FROM calls CROSS JOIN records USING(seq) WHERE id = ? ORDER BY seq DESC LIMIT 1"
        with self._connection() as connection:
            rows = connection.execute(query, (id,)).fetchall()
        return rows[0][0].encode() if rows else None

    def beginning(self, prefix: str) -> list[bytes]:
        """The latest records, FEW at most, whose identifiers are this and hexadecimal digits."""
        query = """SELECT record FROM calls CROSS JOIN records USING(seq) WHERE id >= ? AND id < ? ORDER BY seq DESC LIMIT ?"""
        with self._connection() as connection:
            rows = connection.execute(query, (prefix, f"{prefix}g", FEW)).fetchall()
        return [record.encode() for (record,) in rows]

    def of_span(self, trace_id: str, span_id: str) -> str | None:
        """The identifier of the call that has this span."""
        query = "SELECT id FROM calls WHERE trace_id = ? AND span_id = ? LIMIT 1"
        with self._connection() as connection:
            row = connection.execute(query, (trace_id, span_id)).fetchone()
        return str(row[0]) if row else None

    def latest(self, search: Search, *, limit: int, before: int | None = None) -> Page:
        """By when the calls arrived, latest first; fewer than `limit` where they are large."""
        where, values = conditions(search)
        if before is not None:
            where.append("(at, seq) < (SELECT at, seq FROM calls WHERE seq = ?)")
            values.append(before)
        rows, is_cut = self._records(where, values, "ORDER BY at DESC, seq DESC LIMIT ?", limit + 1)
        is_all = len(rows) <= limit and not is_cut
        rows = rows[:limit]
        return Page(tuple([row[2] for row in rows]), None if is_all else rows[-1][0])

    def begin(self) -> Place:
        """Where to begin with all records."""
        return Place(0.0, 0, self.last())

    def next(self, search: Search, place: Place, *, limit: int) -> tuple[Sequence[bytes], Place]:
        """The next records by when the calls arrived, oldest first; none: that was all."""
        where, values = conditions(search)
        where += ["(at, seq) > (?, ?)", "seq <= ?"]
        values += [place.at, place.seq, place.last]
        rows, _ = self._records(where, values, "ORDER BY at, seq LIMIT ?", limit)
        if not rows:
            return (), place
        return [row[2] for row in rows], Place(rows[-1][1], rows[-1][0], place.last)

    def last(self) -> int:
        """The place of the record that came last, be it there or not: in one file this never goes back."""
        with self._connection() as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").fetchone()
        return int(row[0]) if row else 0

    def since(self, search: Search, seq: int, *, limit: int) -> Followed:
        """What has come after this place: the last `limit` of it, fewer where they are large. All of a file that is new."""
        last = self.last()
        if last < seq:
            seq = 0
        if last == seq:
            return Followed((), seq, 0)
        where, values = conditions(search, by_seq=True)
        where += ["seq > ?", "seq <= ?"]
        values += [seq, last]
        rows, is_cut = self._records(where, values, "ORDER BY seq DESC LIMIT ?", limit)
        dropped = 0
        if is_cut or len(rows) == limit:
            with self._connection() as connection:
                query = f"SELECT count(*) FROM calls WHERE {' AND '.join(where)}"
                dropped = connection.execute(query, values).fetchone()[0] - len(rows)
        return Followed(tuple([row[2] for row in reversed(rows)]), last, dropped)

    def own(self, seq: int, *, limit: int) -> tuple[Sequence[bytes], int]:
        """The next records after this place that this machine's workers wrote; and the place reached."""
        query = """SELECT seq, origin, CAST(record AS BLOB) FROM calls CROSS JOIN records USING(seq)
            WHERE seq > ? ORDER BY seq LIMIT ?"""
        with self._connection() as connection:
            rows, _ = _page(connection.execute(query, (seq, limit)))
        return [record for _, origin, record in rows if origin is None], rows[-1][0] if rows else seq

    def arrived_before(self, at: float) -> int:
        """The place of the last record of a call that arrived before."""
        with self._connection() as connection:
            query = "SELECT coalesce(max(seq), 0) FROM calls WHERE at < ?"
            return int(connection.execute(query, (at,)).fetchone()[0])

    def mark(self, name: str) -> Any:
        """What has been noted in the file under this name, or None."""
        with self._connection() as connection:
            row = connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def statistics(self, question: Question) -> list[dict[str, Any]]:
        with self._connection() as connection:
            _count(connection)
            return Answering(connection, question).groups()

    def attempts(self, *, since: float, until: float) -> dict[str, dict[str, Any]]:
        """By deployment, how its attempts went: `attempts`, `errors`, `error_codes`, `other_codes`, `p50_ms`, `p95_ms`."""
        with self._connection() as connection:
            return recent_attempts(connection, since=since, until=until)

    def cache(self, *, since: int, until: int, step: int) -> dict[str, Any]:
        """What the cache did: see caching.cache_figures."""
        with self._connection() as connection:
            return cache_figures(connection, since=since, until=until, step=step)

    def errors(self, *, since: float, until: float) -> list[dict[str, Any]]:
        """What went wrong, most frequent first."""
        query = """SELECT error_code, provider, e.outcome, count, first_at, last_at, id, json_extract(record, '$.error')
            FROM (SELECT error_code, provider, outcome, count(*) AS count, min(at) AS first_at, max(at) AS last_at,
                max(seq) AS seq FROM calls INDEXED BY calls_errors
                WHERE error_code IS NOT NULL AND at >= ? AND at < ? GROUP BY 1, 2, 3 ORDER BY count DESC LIMIT ?) e
            JOIN (SELECT seq, id FROM calls) USING(seq) JOIN records USING(seq) ORDER BY count DESC, last_at DESC"""
        with self._connection() as connection:
            rows = connection.execute(query, (since, until, _MOST_ERRORS)).fetchall()
        names = ("error_code", "provider", "outcome", "count", "first_at", "last_at", "sample_id", "message")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _records(
        self, where: Sequence[str], values: Sequence[object], order: str, limit: int
    ) -> tuple[list[tuple[int, float, bytes]], bool]:
        """And whether they are not all, being too large. Chosen from the narrow table first, so that none is read for nothing."""
        chosen = f"SELECT seq, at FROM calls {'WHERE ' + ' AND '.join(where) if where else ''} {order}"
        query = f"SELECT c.seq, c.at, CAST(record AS BLOB) FROM ({chosen}) c CROSS JOIN records r ON r.seq = c.seq"
        with self._connection() as connection:
            return _page(connection.execute(query, (*values, limit)))

    def close(self) -> None:
        """Once no thread reads any more."""
        while self._open:
            self._open.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """This thread's, opened anew when the file is another one or failed."""
        with as_os_error():
            connection = self._opened()
            until = time.monotonic() + LONGEST
            connection.set_progress_handler(lambda: time.monotonic() > until, _LOOK)
            try:
                yield connection
            except sqlite3.OperationalError as error:
                self._forget(connection)
                if time.monotonic() > until:
                    raise TimeoutError(str(error)) from error
                raise

    def _opened(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._kept, "connection", None)
        if connection is not None:
            if is_same(self._path, self._kept.inode):
                return connection
            self._forget(connection)
        self._kept.connection = connection = open_file(self._path)
        self._kept.inode = self._path.stat().st_ino
        self._open.add(connection)
        return connection

    def _forget(self, connection: sqlite3.Connection) -> None:
        self._kept.connection = None
        self._open.discard(connection)
        connection.close()


def _page(rows: sqlite3.Cursor) -> tuple[list[tuple[Any, Any, bytes]], bool]:
    """The first rows, of which the last column is a record, until they are LARGEST; whether there are more."""
    page: list[tuple[Any, Any, bytes]] = []
    size = 0
    for row in rows:
        if page and size + len(row[-1]) > LARGEST:
            rows.close()
            return page, True
        page.append(row)
        size += len(row[-1])
    return page, False


def _count(connection: sqlite3.Connection) -> None:
    """Counts what the roll-ups lack; of much, only a part, and nothing while others write: the writer will."""
    until = time.monotonic() + COUNTING
    connection.set_progress_handler(None, 0)
    with suppress(sqlite3.OperationalError):
        while time.monotonic() < until:
            with begun(connection):
                if not roll_up(connection):
                    break
    connection.set_progress_handler(lambda: time.monotonic() > until + LONGEST, _LOOK)
