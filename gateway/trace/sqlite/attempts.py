"""The attempts of calls, counted by minute and deployment as the calls are put in, and what became of them lately."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from gateway.core.errors import UpstreamError
from gateway.trace.row import Row
from gateway.trace.sqlite.entry import measured
from gateway.trace.sqlite.histogram import bucket, one, percentile, unpacked
from gateway.trace.sqlite.rollup import ATTEMPT_MINUTES, Added, Sums, add
from gateway.trace.sqlite.schema import DIMENSIONS, SUMS

Figures = dict[str, Any]
_DEPLOYMENT, _PROVIDER, _ERROR = (DIMENSIONS.index(name) for name in ("deployment", "provider", "outcome"))
_WENT_WELL = (1, 0, *[0] * (len(SUMS) - 2))
_FAILED = (1, 1, *[0] * (len(SUMS) - 2))
_FAULTS = (None, UpstreamError.fault)
"""Of attempts that count as errors; None: an older version did not tell."""


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
            is_failure = error is not None and attempt.get("fault") in _FAULTS
            group.add(_FAILED if is_failure else _WENT_WELL, 0 if ms is None else one(bucket(ms)), 0)
    add(connection, added)


def recent_attempts(connection: sqlite3.Connection, *, since: float, until: float) -> dict[str, Figures]:
    """By deployment, how its attempts went. `errors` are the upstream's own, `other_codes` what callers and the gateway ended."""
    query = """SELECT k.deployment, k.outcome, calls, errors, durations FROM figures CROSS JOIN kinds k ON k.id = kind
        WHERE layer = ? AND at >= ? AND at < ?"""
    found: dict[str, Figures] = {}
    durations: dict[str, int] = {}
    for deployment, code, count, errors, data in connection.execute(
        query, (ATTEMPT_MINUTES, since - since % 60, until)
    ).fetchall():
        each = found.setdefault(deployment, {"attempts": 0, "errors": 0, "error_codes": {}, "other_codes": {}})
        each["attempts"] += count
        each["errors"] += errors
        for codes, ended in (("error_codes", errors), ("other_codes", count - errors)):
            if code and ended:
                each[codes][code] = each[codes].get(code, 0) + ended
        durations[deployment] = durations.get(deployment, 0) + unpacked(data)
    for deployment, each in found.items():
        each["p50_ms"], each["p95_ms"] = percentile(durations[deployment], 0.5, 0.95)
    return found
