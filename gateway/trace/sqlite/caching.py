"""What the cache did for calls, counted from their records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

MOST = 100_000
"""Records that are counted, the latest ones."""
KINDS = ("exact", "semantic", "joined", "replay")
"""Kinds of hits, as records name them."""

Figures = dict[str, Any]

_COUNTED = """
SELECT route, CAST((at - ?) / ? AS INTEGER), cache, json_extract(record, '$.cache_kind'), json_extract(record, '$.cache_reason'),
  count(*), sum(saved_nano_usd), sum(json_extract(record, '$.saved_ms'))
FROM (SELECT seq, at, route, cache, saved_nano_usd FROM calls WHERE at >= ? AND at < ? AND cache IS NOT NULL
  ORDER BY at DESC LIMIT ?) CROSS JOIN records USING(seq) GROUP BY 1, 2, 3, 4, 5
"""


def cache_figures(connection: sqlite3.Connection, *, since: int, until: int, step: int) -> Figures:
    """`total`, `routes` (by falling number of calls, each with `points` too) and `points`; `is_complete` unless there were
    more records than MOST."""
    rows = connection.execute(_COUNTED, (since, step, since, until, MOST)).fetchall()
    times = range(since, until, step)
    total = _figures(rows)
    routes = [
        {"route": route, **_figures(own), "points": _points(own, times)} for route, own in _grouped(rows, 0).items()
    ]
    return {
        "total": total,
        "routes": sorted(routes, key=lambda each: (-each["calls"], str(each["route"]))),
        "points": _points(rows, times),
        "is_complete": total["calls"] < MOST,
    }


def _points(rows: Sequence[Any], times: Sequence[int]) -> list[Figures]:
    """Those at which there was a call."""
    points = _grouped(rows, 1)
    return [{"at": times[number], **_figures(points[number])} for number in sorted(points) if 0 <= number < len(times)]


def _grouped(rows: Sequence[Any], column: int) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def _figures(rows: Iterable[Any]) -> Figures:
    hits, misses, bypasses = dict.fromkeys(KINDS, 0), dict[str, int](), dict[str, int]()
    calls = saved_nano_usd = 0
    saved_ms = 0.0
    for _, _, result, kind, reason, count, nano_usd, ms in rows:
        calls += count
        if result == "miss":
            _count(misses, reason, count)
        elif result == "bypass":
            _count(bypasses, reason, count)
        else:
            _count(hits, kind or ("semantic" if result == "semantic-hit" else "exact"), count)
            saved_nano_usd += int(nano_usd or 0)
            saved_ms += ms or 0.0
    return {
        "calls": calls,
        "hits": hits,
        "misses": misses,
        "bypasses": bypasses,
        "saved_nano_usd": saved_nano_usd,
        "saved_ms": round(saved_ms, 3),
    }


def _count(words: dict[str, int], word: object, count: int) -> None:
    name = str(word or "unknown")
    words[name] = words.get(name, 0) + count
