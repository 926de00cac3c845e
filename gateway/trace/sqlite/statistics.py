"""Answers questions from the roll-ups alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.trace.reading.statistics import Question
from gateway.trace.sqlite.histogram import percentile, unpacked
from gateway.trace.sqlite.rollup import HOURS, MINUTES, TAG_HOURS, TAG_MINUTES, WIDTH
from gateway.trace.sqlite.schema import SUMS

Figures = dict[str, Any]
_Key = tuple[str, ...]
_Histograms = tuple[int, int]
_SHOWN = SUMS[:9]
_SUMMED = ", ".join(f"sum({name})" for name in SUMS)
_NO_SUMS = (0,) * len(SUMS)
_EMPTY = (0, 0)


class Answering:
    """One question; it is answered from the coarsest layer that can."""

    def __init__(self, connection: sqlite3.Connection, question: Question) -> None:
        self._connection = connection
        self._question = question
        is_tagged = "tag" in question.by or "tag" in question.equal
        is_hourly = question.step % WIDTH[HOURS] == 0
        layer = ((MINUTES, HOURS), (TAG_MINUTES, TAG_HOURS))[is_tagged][is_hourly]
        self._where = "layer = ? AND at >= ? AND at < ?"
        self._values = (layer, question.since, question.until)
        self._point = f"(at - {question.since}) / {question.step}"
        self._keys = self._kinds()

    def groups(self) -> list[dict[str, Any]]:
        """By falling cost."""
        sums = self._sums()
        totals = {key: [sum(column) for column in zip(*points.values(), strict=True)] for key, points in sums.items()}
        if not self._question.by:
            totals.setdefault((), list(_NO_SUMS))
        calls, cost = SUMS.index("calls"), SUMS.index("cost_nano_usd")
        shown = sorted(totals, key=lambda key: (-totals[key][cost], -totals[key][calls], key))[: self._question.limit]
        histograms = self._histograms(set(shown))
        return [
            {
                "by": dict(zip(self._question.by, [part or None for part in key], strict=True)),
                "total": figures(totals[key], _added(histograms.get(key, {}))),
                "points": self._series(sums.get(key, {}), histograms.get(key, {})),
            }
            for key in shown
        ]

    def _kinds(self) -> dict[int, _Key] | None:
        """The group of each kind that is asked for, by its id; None: all are, as one group."""
        question = self._question
        if not question.by and not question.equal:
            return None
        columns = ", ".join(["id", *question.by])
        where = " AND ".join([f"{name} = ?" for name in question.equal]) or "1"
        rows = self._connection.execute(f"SELECT {columns} FROM kinds WHERE {where}", tuple(question.equal.values()))
        return {id: tuple(key) for id, *key in rows.fetchall()}

    def _sums(self) -> dict[_Key, dict[int, Sequence[int]]]:
        """By group and point."""
        found: dict[_Key, dict[int, Sequence[int]]] = {}
        columns = f"{self._point}, kind" if self._keys is not None else f"{self._point}, 0"
        query = f"SELECT {columns}, {_SUMMED} FROM figures WHERE {self._where} GROUP BY 1, 2"
        for point, kind, *sums in self._connection.execute(query, self._values).fetchall():
            key = self._key(kind)
            if key is not None:
                points = found.setdefault(key, {})
                before = points.get(point)
                points[point] = sums if before is None else [one + more for one, more in zip(before, sums, strict=True)]
        return found

    def _histograms(self, keys: set[_Key]) -> dict[_Key, dict[int, _Histograms]]:
        """The same of durations and first bytes, of these groups."""
        found: dict[_Key, dict[int, _Histograms]] = {}
        query = f"SELECT {self._point}, kind, durations, first_bytes FROM figures WHERE {self._where}"
        for point, kind, durations, first_bytes in self._connection.execute(query, self._values).fetchall():
            key = self._key(kind)
            if key in keys:
                points = found.setdefault(key, {})
                before = points.get(point, _EMPTY)
                points[point] = before[0] + unpacked(durations), before[1] + unpacked(first_bytes)
        return found

    def _key(self, kind: int) -> _Key | None:
        return () if self._keys is None else self._keys.get(kind)

    def _series(self, sums: Mapping[int, Sequence[int]], histograms: Mapping[int, _Histograms]) -> list[Figures]:
        question = self._question
        count = -(-(question.until - question.since) // question.step)
        return [
            {
                "at": question.since + number * question.step,
                **figures(sums.get(number, _NO_SUMS), histograms.get(number, _EMPTY)),
            }
            for number in range(count)
        ]


def figures(sums: Sequence[int], histograms: _Histograms) -> Figures:
    shown: Figures = dict(zip(_SHOWN, sums, strict=False))
    for name, histogram in zip(("", "first_byte_"), histograms, strict=True):
        shown[f"{name}p50_ms"], shown[f"{name}p95_ms"] = percentile(histogram, 0.5, 0.95)
    tokens, ms = sums[len(_SHOWN) :]
    shown["tokens_per_second"] = round(tokens * 1000 / ms, 2) if ms else None
    return shown


def _added(points: Mapping[int, _Histograms]) -> _Histograms:
    return sum(durations for durations, _ in points.values()), sum(first_bytes for _, first_bytes in points.values())
