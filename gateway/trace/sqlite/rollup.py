"""Roll-ups: for each minute and hour, the sums and histograms of groups of calls, of their tags, and of attempts.

A minute has at most so many groups: what is beyond counts under `_other`, so that callers' words cannot fill the disk.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from gateway.trace.row import Row
from gateway.trace.sqlite.schema import DIMENSIONS, ROWS, SUMS, Insertion

MINUTES, HOURS, TAG_MINUTES, TAG_HOURS, ATTEMPT_MINUTES = range(5)
WIDTH = {MINUTES: 60, HOURS: 3600, TAG_MINUTES: 60, TAG_HOURS: 3600, ATTEMPT_MINUTES: 60}
"""The layers, and the seconds of each."""
MOST = {MINUTES: 500, HOURS: 2000, TAG_MINUTES: 200, TAG_HOURS: 800, ATTEMPT_MINUTES: 500}
"""Groups that are told apart in one minute or hour."""
OTHER = "_other"
TAGS = 8
"""Tags of a call that are counted, and the characters of each."""
TAG_LENGTH = 64

SMALLEST = 0.1
GROWTH = 1.1
LAST = 200
"""Buckets: the first ends at SMALLEST milliseconds, each is a tenth wider than the one before, the last has no end."""

_STRANGERS = frozenset({"rejected_auth", "rejected_request", "rejected_policy"})
"""Outcomes of calls that may name a model which no policy knows."""
_KEPT_APART = ("deployment", "provider", "route", "outcome", "cache")
"""Dimensions that only the policy can make many; the others become `_other` when there are too many groups."""
_DAY = 86400

Kind = tuple[str, ...]
_Place = tuple[int, int]


def bucket(ms: float) -> int:
    """The number of the bucket that a duration falls into."""
    if ms <= SMALLEST:
        return 0
    return min(LAST, math.ceil(math.log(ms / SMALLEST) / math.log(GROWTH) - 1e-9))


def middle(number: int) -> float:
    """Milliseconds that stand for all of a bucket."""
    return float(f"{SMALLEST * GROWTH ** (number - 0.5):.4g}")


class Sums:
    """What is to be added to one group in one minute or hour."""

    __slots__ = ("buckets", "sums")

    def __init__(self) -> None:
        self.sums = [0] * len(SUMS)
        self.buckets: dict[int, list[int]] = {}

    def add(self, sums: Sequence[int], duration: float | None, first_byte: float | None) -> None:
        self.sums = [one + other for one, other in zip(self.sums, sums, strict=True)]
        for column, ms in enumerate((duration, first_byte)):
            if ms is not None and ms >= 0:
                self.buckets.setdefault(bucket(ms), [0, 0])[column] += 1

    def merge(self, other: Sums) -> None:
        self.sums = [one + more for one, more in zip(self.sums, other.sums, strict=True)]
        for number, counts in other.buckets.items():
            mine = self.buckets.setdefault(number, [0, 0])
            mine[0] += counts[0]
            mine[1] += counts[1]


def roll_up(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Counts rows that are new to the file; within the transaction that puts them in."""
    added: dict[_Place, dict[Kind, Sums]] = {}
    for row in rows:
        at = int(_number(row, "at"))
        for layers, kind, sums, duration, first_byte in _counted(row):
            for layer in layers:
                place = (layer, at - at % WIDTH[layer])
                added.setdefault(place, {}).setdefault(kind, Sums()).add(sums, duration, first_byte)
    if not added:
        return
    known = _ids(connection, {kind for kinds in added.values() for kind in kinds})
    added = {place: _bounded(connection, place, kinds, known) for place, kinds in added.items()}
    known = _named(connection, added)
    _FIGURES.run(
        connection,
        [
            (*place, known[kind], *each.sums)
            for place, kinds in sorted(added.items())
            for kind, each in sorted(kinds.items())
        ],
    )
    _BUCKETS.run(
        connection,
        [
            (*place, known[kind], number, *counts)
            for place, kinds in sorted(added.items())
            for kind, each in sorted(kinds.items())
            for number, counts in sorted(each.buckets.items())
        ],
    )


_Counted = tuple[tuple[int, ...], Kind, Sequence[int], float | None, float | None]


def _counted(row: Row) -> Iterator[_Counted]:
    """Where a call counts, as what, and how much."""
    kind = _kind(row)
    duration, first_byte = _measured(row, "duration_ms"), _measured(row, "first_byte_ms")
    sums = _sums(row)
    yield (MINUTES, HOURS), kind, sums, duration, first_byte
    tags = row.get("tags")
    for tag in dict.fromkeys(tags[:TAGS]) if isinstance(tags, list) else ():
        yield (TAG_MINUTES, TAG_HOURS), (*kind[:-1], str(tag)[:TAG_LENGTH]), sums, duration, first_byte
    attempts = row.get("attempts")
    for attempt in attempts if isinstance(attempts, list) else ():
        error = attempt.get("error")
        tried = {"deployment": attempt.get("deployment"), "provider": attempt.get("provider"), "outcome": error}
        kind = tuple([str(tried.get(name) or "") for name in DIMENSIONS])
        counts = [1, error is not None, *[0] * (len(SUMS) - 2)]
        yield (ATTEMPT_MINUTES,), kind, counts, _measured(attempt, "duration_ms"), _measured(attempt, "first_byte_ms")


def _kind(row: Row) -> Kind:
    known = {name: str(value) for name in DIMENSIONS if (value := row.get(name)) is not None}
    if known.get("outcome") in _STRANGERS and "model" in known:
        known["model"] = OTHER
    return tuple([known.get(name, "") for name in DIMENSIONS])


def _sums(row: Row) -> Sequence[int]:
    status, output = int(_number(row, "status")), int(_number(row, "output_tokens"))
    streamed = 0.0
    if row.get("stream") and row.get("first_byte_ms") is not None:
        streamed = max(0.0, _number(row, "duration_ms") - _number(row, "first_byte_ms"))
    return (
        1,
        status >= 500,
        status == 429,
        row.get("cache") in ("hit", "semantic-hit"),
        int(_number(row, "input_tokens")),
        output,
        int(_number(row, "cached_tokens")),
        int(_number(row, "cost_nano_usd")),
        int(_number(row, "saved_nano_usd")),
        output if streamed else 0,
        round(streamed),
    )


def _number(row: Row, name: str) -> float:
    return _measured(row, name) or 0


def _measured(row: Row, name: str) -> float | None:
    value: Any = row.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bounded(
    connection: sqlite3.Connection, place: _Place, kinds: dict[Kind, Sums], known: dict[Kind, int]
) -> dict[Kind, Sums]:
    """The same, but for groups for which this minute or hour has no room: those are one."""
    query = "SELECT kind FROM figures WHERE layer = ? AND at = ?"
    present = {kind for (kind,) in connection.execute(query, place).fetchall()}
    room = MOST[place[0]] - len(present)
    bounded: dict[Kind, Sums] = {}
    for kind, sums in kinds.items():
        if known.get(kind) in present:
            bounded[kind] = sums
        elif room > 0:
            room -= 1
            bounded[kind] = sums
        else:
            bounded.setdefault(_folded(kind), Sums()).merge(sums)
    return bounded


def _folded(kind: Kind) -> Kind:
    return tuple(
        [
            value if name in _KEPT_APART or not value else OTHER
            for name, value in zip(DIMENSIONS, kind, strict=True)
        ]
    )


def _named(connection: sqlite3.Connection, added: dict[_Place, dict[Kind, Sums]]) -> dict[Kind, int]:
    """The ids of all kinds, which are made where there are none."""
    seen: dict[Kind, int] = {}
    for (_, at), kinds in added.items():
        for kind in kinds:
            seen[kind] = max(seen.get(kind, 0), at - at % _DAY)
    _KINDS.run(connection, [(_name(kind), day, *kind) for kind, day in seen.items()])
    return _ids(connection, seen)


def _ids(connection: sqlite3.Connection, kinds: set[Kind] | dict[Kind, int]) -> dict[Kind, int]:
    names = {_name(kind): kind for kind in kinds}
    found: dict[Kind, int] = {}
    wanted = list(names)
    for at in range(0, len(wanted), ROWS):
        part = wanted[at : at + ROWS]
        query = f"SELECT name, id FROM kinds WHERE name IN ({', '.join('?' * len(part))})"
        found.update((names[name], id) for name, id in connection.execute(query, part).fetchall())
    return found


def _name(kind: Kind) -> str:
    return orjson.dumps(kind).decode()


_KINDS = Insertion(
    "kinds",
    ("name", "seen", *DIMENSIONS),
    " ON CONFLICT(name) DO UPDATE SET seen = excluded.seen WHERE seen < excluded.seen",
)
_FIGURES = Insertion(
    "figures",
    ("layer", "at", "kind", *SUMS),
    " ON CONFLICT DO UPDATE SET " + ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS),
)
_BUCKETS = Insertion(
    "buckets",
    ("layer", "at", "kind", "bucket", "durations", "first_bytes"),
    " ON CONFLICT DO UPDATE SET durations = durations + excluded.durations,"
    " first_bytes = first_bytes + excluded.first_bytes",
)
