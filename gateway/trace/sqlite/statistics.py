"""Answers questions from the roll-ups alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.trace.reading.statistics import Question
from gateway.trace.sqlite.rollup import HOURS, MINUTES, TAG_HOURS, TAG_MINUTES, WIDTH, middle
from gateway.trace.sqlite.schema import SUMS

Figures = dict[str, Any]
_Key = tuple[str, ...]
Counts = dict[int, tuple[int, int]]
_SHOWN = SUMS[:9]
_SUMMED = ", ".join(f"sum({name})" for name in SUMS)


class Answering:
    """One question; `layer` is the coarsest that it can be answered from."""

    def __init__(self, connection: sqlite3.Connection, question: Question) -> None:
        self._connection = connection
        self._question = question
        is_tagged = "tag" in question.by or "tag" in question.equal
        is_hourly = question.step % WIDTH[HOURS] == 0
        self._layer = ((MINUTES, HOURS), (TAG_MINUTES, TAG_HOURS))[is_tagged][is_hourly]
        self._by = [f"k.{name}" for name in question.by]
        self._point = f"(at - {question.since}) / {question.step}"

    def groups(self) -> list[dict[str, Any]]:
        totals = self._totals()
        points = self._points(list(totals))
        buckets = self._buckets(list(totals))
        return [
            {
                "by": dict(zip(self._question.by, [part or None for part in key], strict=True)),
                "total": figures(sums, merged(buckets.get(key, {}).values())),
                "points": self._series(points.get(key, {}), buckets.get(key, {})),
            }
            for key, sums in totals.items()
        ]

    def _totals(self) -> dict[_Key, Sequence[int]]:
        columns = ", ".join([*self._by, _SUMMED])
        grouped = f"GROUP BY {', '.join(self._by)}" if self._by else ""
        rest, values = self._from("figures")
        order = "ORDER BY sum(cost_nano_usd) DESC, sum(calls) DESC LIMIT ?"
        rows = self._connection.execute(f"SELECT {columns} {rest} {grouped} {order}", (*values, self._question.limit))
        split = len(self._by)
        found = {row[:split]: row[split:] for row in rows.fetchall()}
        return found if self._by or found[()][0] is not None else {(): (0,) * len(SUMS)}

    def _points(self, keys: Sequence[_Key]) -> dict[_Key, dict[int, Sequence[int]]]:
        rest, values = self._from("figures", keys)
        columns = ", ".join([self._point, *self._by])
        rows = self._connection.execute(f"SELECT {columns}, {_SUMMED} {rest} GROUP BY {columns}", values)
        split = 1 + len(self._by)
        found: dict[_Key, dict[int, Sequence[int]]] = {}
        for row in rows.fetchall():
            found.setdefault(row[1:split], {})[row[0]] = row[split:]
        return found

    def _buckets(self, keys: Sequence[_Key]) -> dict[_Key, dict[int, Counts]]:
        rest, values = self._from("buckets", keys)
        columns = ", ".join([self._point, *self._by, "bucket"])
        query = f"SELECT {columns}, sum(durations), sum(first_bytes) {rest} GROUP BY {columns}"
        found: dict[_Key, dict[int, Counts]] = {}
        for row in self._connection.execute(query, values).fetchall():
            point, *key, bucket, durations, first_bytes = row
            found.setdefault(tuple(key), {}).setdefault(point, {})[bucket] = (durations, first_bytes)
        return found

    def _from(self, table: str, keys: Sequence[_Key] | None = None) -> tuple[str, list[object]]:
        question = self._question
        conditions = ["layer = ?", "at >= ?", "at < ?"]
        values: list[object] = [self._layer, question.since, question.until]
        for name, value in question.equal.items():
            conditions.append(f"k.{name} = ?")
            values.append(value)
        if keys and self._by:
            row = f"({', '.join('?' * len(self._by))})"
            conditions.append(f"({', '.join(self._by)}) IN (VALUES {', '.join([row] * len(keys))})")
            values += [part for key in keys for part in key]
        join = " CROSS JOIN kinds k ON k.id = kind" if self._by or question.equal else ""
        return f"FROM {table}{join} WHERE {' AND '.join(conditions)}", values

    def _series(self, points: Mapping[int, Sequence[int]], buckets: Mapping[int, Counts]) -> list[Figures]:
        question = self._question
        count = -(-(question.until - question.since) // question.step)
        nothing = (0,) * len(SUMS)
        return [
            {
                "at": question.since + number * question.step,
                **figures(points.get(number, nothing), buckets.get(number, {})),
            }
            for number in range(count)
        ]


def figures(sums: Sequence[int], buckets: Counts) -> Figures:
    shown: Figures = dict(zip(_SHOWN, sums, strict=False))
    for name, column in (("", 0), ("first_byte_", 1)):
        shown[f"{name}p50_ms"] = percentile(buckets, column, 0.5)
        shown[f"{name}p95_ms"] = percentile(buckets, column, 0.95)
    tokens, ms = sums[len(_SHOWN) :]
    shown["tokens_per_second"] = round(tokens * 1000 / ms, 2) if ms else None
    return shown


def percentile(buckets: Counts, column: int, share: float) -> float | None:
    """Milliseconds; None where nothing was measured."""
    wanted = share * sum(counts[column] for counts in buckets.values())
    if not wanted:
        return None
    passed = 0
    for number in sorted(buckets):
        passed += buckets[number][column]
        if passed >= wanted:
            return middle(number)
    return None


def merged(parts: Iterable[Counts]) -> Counts:
    found: Counts = {}
    for part in parts:
        for number, (durations, first_bytes) in part.items():
            mine = found.get(number, (0, 0))
            found[number] = (mine[0] + durations, mine[1] + first_bytes)
    return found
