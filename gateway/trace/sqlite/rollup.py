"""Roll-ups: for each minute and hour, the sums and histograms of groups of calls, and of their tags.

They are made from the rows that have come since the last time, and the mark of how far that was is in the same transaction:
every row counts once. A minute has at most so many groups: what is beyond counts under `_other`, so that callers' words
cannot fill the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import orjson

from gateway.trace.outcomes import TRIAL
from gateway.trace.reading.statistics import WITH_TAG
from gateway.trace.sqlite.histogram import one, packed, unpacked
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
STEP = 5000
"""Rows counted at once."""

_KEPT_APART = ("deployment", "provider", "route", "outcome", "cache")
"""Dimensions that only the policy can make many; the others become `_other` when there are too many groups."""
_DAY = 86400

Kind = tuple[str, ...]
Place = tuple[int, int]
"""A layer, and when its minute or hour begins."""


class Sums:
    """What is to be added to one group in one minute or hour; the histograms see histogram."""

    __slots__ = ("durations", "first_bytes", "sums")

    def __init__(self) -> None:
        self.sums: Sequence[int] = ()
        self.durations = 0
        self.first_bytes = 0

    def add(self, sums: Sequence[int], durations: int, first_bytes: int) -> None:
        self.sums = [one + more for one, more in zip(self.sums, sums, strict=True)] if self.sums else sums
        self.durations += durations
        self.first_bytes += first_bytes


Added = dict[Place, dict[Kind, Sums]]


def roll_up(connection: sqlite3.Connection) -> int:
    """Counts rows that came since the last time; how many. Within a transaction."""
    since = rolled_until(connection)
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM calls").fetchone()
    until = min(last, since + STEP)
    if until <= since:
        return 0
    added: Added = {}
    for layers, query in (((MINUTES, HOURS), _CALLS), ((TAG_MINUTES, TAG_HOURS), _TAGS)):
        for at, *rest in connection.execute(query, (since, until)).fetchall():
            kind, sums, (durations, first_bytes) = rest[: len(DIMENSIONS)], rest[len(DIMENSIONS) : -2], rest[-2:]
            histograms = _histogram(durations), _histogram(first_bytes)
            for layer in layers:
                place = (layer, at - at % WIDTH[layer])
                group = added.setdefault(place, {}).setdefault(tuple(kind), Sums())
                group.add(sums, *histograms)
    add(connection, added)
    connection.execute("REPLACE INTO marks VALUES('rolled', ?)", (until,))
    return int(until - since)


def rolled_until(connection: sqlite3.Connection) -> int:
    """The place of the last row that has been counted."""
    rolled = connection.execute("SELECT value FROM marks WHERE name = 'rolled'").fetchone()
    return int(rolled[0]) if rolled else 0


def add(connection: sqlite3.Connection, added: Added) -> None:
    """Adds to what is there. Within a transaction."""
    if not added:
        return
    known = _ids(connection, {kind for kinds in added.values() for kind in kinds})
    bounded = {place: _bounded(connection, place, kinds, known) for place, kinds in sorted(added.items())}
    known = _named(connection, bounded)
    groups = [(place, known[kind], sums) for place, kinds in bounded.items() for kind, sums in kinds.items()]
    groups.sort(key=lambda group: group[:2])
    there = _histograms(connection, bounded)
    rows = []
    for place, kind, each in groups:
        durations, first_bytes = there.get((*place, kind), (None, None))
        histograms = unpacked(durations) + each.durations, unpacked(first_bytes) + each.first_bytes
        rows.append((*place, kind, *each.sums, *map(packed, histograms)))
    _FIGURES.run(connection, rows)


def _histogram(buckets: str | None) -> int:
    """Of the numbers of buckets, one for each duration."""
    return sum([one(int(number)) for number in buckets.split(",")]) if buckets else 0


def _histograms(
    connection: sqlite3.Connection, places: Iterable[Place]
) -> dict[tuple[int, int, int], tuple[bytes | None, bytes | None]]:
    """Those that are there, by place and kind."""
    query = "SELECT kind, durations, first_bytes FROM figures WHERE layer = ? AND at = ?"
    return {
        (*place, kind): histograms
        for place in places
        for kind, *histograms in connection.execute(query, place).fetchall()
    }


def _bounded(
    connection: sqlite3.Connection, place: Place, kinds: dict[Kind, Sums], known: dict[Kind, int]
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
            bounded.setdefault(_folded(kind), Sums()).add(sums.sums, sums.durations, sums.first_bytes)
    return bounded


def _folded(kind: Kind) -> Kind:
    named = zip(DIMENSIONS, kind, strict=True)
    return tuple([value if name in _KEPT_APART or not value else OTHER for name, value in named])


def _named(connection: sqlite3.Connection, added: Added) -> dict[Kind, int]:
    """The ids of all kinds, which are made where there are none."""
    seen: dict[Kind, int] = {}
    for (_, at), kinds in added.items():
        for kind in kinds:
            seen[kind] = max(seen.get(kind, 0), at - at % _DAY)
    _KINDS.run(connection, [(_name(kind), day, *kind) for kind, day in seen.items()])
    return _ids(connection, seen)


def _ids(connection: sqlite3.Connection, kinds: Iterable[Kind]) -> dict[Kind, int]:
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


_EACH = {name: f"coalesce({name}, '')" for name in DIMENSIONS} | {
    "model": f"""CASE WHEN outcome IN ('rejected_auth', 'rejected_request', 'rejected_policy') AND model IS NOT NULL
        THEN '{OTHER}' ELSE coalesce(model, '') END""",
    "tag": "''",
}
"""A refused caller may have named a model that no policy knows."""
_STREAMED = "stream AND first_byte_ms IS NOT NULL"
_SUMMED = f"""count(*), count(*) FILTER (WHERE status >= 500), count(*) FILTER (WHERE status = 429),
    count(*) FILTER (WHERE cache IN ('hit', 'semantic-hit')),
    {", ".join(f"CAST(total({name}) AS INTEGER)" for name in SUMS[4:9])},
    CAST(total(output_tokens) FILTER (WHERE {_STREAMED}) AS INTEGER),
    CAST(total(max(duration_ms - first_byte_ms, 0)) FILTER (WHERE {_STREAMED}) AS INTEGER),
    group_concat(duration_bucket), group_concat(first_byte_bucket)"""
_GROUPS = ", ".join(str(1 + number) for number in range(1 + len(DIMENSIONS)))
_MINUTE = "CAST(at AS INTEGER) / 60 * 60"
_CALLS = f"""SELECT {_MINUTE}, {", ".join(_EACH.values())}, {_SUMMED}
    FROM calls WHERE seq > ? AND seq <= ? AND outcome IS NOT '{TRIAL}' GROUP BY {_GROUPS}"""
_EACH_TAGGED = {name: each if name in WITH_TAG else "''" for name, each in _EACH.items()} | {
    "tag": f"substr(t.value, 1, {TAG_LENGTH})"
}
_TAGS = f"""SELECT {_MINUTE}, {", ".join(_EACH_TAGGED.values())}, {_SUMMED} FROM calls, json_each(calls.tags) t
    WHERE seq > ? AND seq <= ? AND tags IS NOT NULL AND t.key < {TAGS} GROUP BY {_GROUPS}"""
_KINDS = Insertion(
    "kinds",
    ("name", "seen", *DIMENSIONS),
    " ON CONFLICT(name) DO UPDATE SET seen = excluded.seen WHERE seen < excluded.seen",
)
_FIGURES = Insertion(
    "figures",
    ("layer", "at", "kind", *SUMS, "durations", "first_bytes"),
    f""" ON CONFLICT DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)},
        durations = excluded.durations, first_bytes = excluded.first_bytes""",
)
