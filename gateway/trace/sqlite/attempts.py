"""The attempts of calls, counted by minute and deployment as the calls are put in, and what became of them lately."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from gateway.trace.row import Row
from gateway.trace.sqlite.entry import measured
from gateway.trace.sqlite.rollup import ATTEMPT_MINUTES, Added, Sums, add, bucket
from gateway.trace.sqlite.schema import DIMENSIONS, SUMS
from gateway.trace.sqlite.statistics import Counts, percentile

Figures = dict[str, Any]
_DEPLOYMENT, _PROVIDER, _ERROR = (DIMENSIONS.index(name) for name in ("deployment", "provider", "outcome"))
_WENT_WELL = (1, 0, *[0] * (len(SUMS) - 2))
_FAILED = (1, 1, *[0] * (len(SUMS) - 2))


def count_attempts(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Within the transaction that puts the rows in."""
    added: Added = {}
    for row in rows:
        at = int(measured(row, "at") or 0)
        for attempt in row.get("attempts") or ():
            kind = [""] * len(DIMENSIONS)
            kind[_DEPLOYMENT], kind[_PROVIDER] = str(attempt.get("deployment")), str(attempt.get("provider"))
            error = attempt.get("error")
            kind[_ERROR] = str(error or "")
            group = added.setdefault((ATTEMPT_MINUTES, at - at % 60), {}).setdefault(tuple(kind), Sums())
            ms = measured(attempt, "duration_ms")
            group.add(_WENT_WELL if error is None else _FAILED, () if ms is None else (bucket(ms),), ())
    add(connection, added)


def recent_attempts(connection: sqlite3.Connection, *, since: float, until: float) -> dict[str, Figures]:
    """By deployment, how its attempts went."""
    where = "FROM {} CROSS JOIN kinds k ON k.id = kind WHERE layer = ? AND at >= ? AND at < ?"
    values = (ATTEMPT_MINUTES, since - since % 60, until)
    found: dict[str, Figures] = {}
    query = f"SELECT k.deployment, k.outcome, sum(calls) {where.format('figures')} GROUP BY 1, 2"
    for deployment, code, count in connection.execute(query, values).fetchall():
        each = found.setdefault(deployment, {"attempts": 0, "errors": 0, "error_codes": {}})
        each["attempts"] += count
        if code:
            each["errors"] += count
            each["error_codes"][code] = count
    buckets: dict[str, Counts] = {}
    query = f"SELECT k.deployment, bucket, sum(durations) {where.format('buckets')} GROUP BY 1, 2"
    for deployment, number, count in connection.execute(query, values).fetchall():
        buckets.setdefault(deployment, {})[number] = (count, 0)
    for deployment, each in found.items():
        counts = buckets.get(deployment, {})
        each["p50_ms"], each["p95_ms"] = (percentile(counts, 0, share) for share in (0.5, 0.95))
    return found
