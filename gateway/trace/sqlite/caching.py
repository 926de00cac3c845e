"""What the cache did for calls, counted from their records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
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
    """`total`, `routes` (by falling number of calls) and `points`, each with its figures; `is_complete` unless there were more
    than MOST."""
    rows = connection.execute(_COUNTED, (since, step, since, until, MOST)).fetchall()
    total = _figures(rows)
    routes = {row[0] for row in rows}
    by_route = [{"route": route, **_figures(row for row in rows if row[0] == route)} for route in routes]
    points: dict[int, list[Any]] = {}
    for row in rows:
        points.setdefault(row[1], []).append(row)
    count = -(-(until - since) // step)
    return {
        "total": total,
        "routes": sorted(by_route, key=lambda each: (-each["calls"], str(each["route"]))),
        "points": [{"at": since + n * step, **_figures(points.get(n, ()))} for n in range(count)],
        "is_complete": total["calls"] < MOST,
    }


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
