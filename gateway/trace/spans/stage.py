"""The span of a stage that has something to tell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gateway.trace.spans.server import is_failure
from gateway.trace.spans.span import KEPT, NANO, Common, Kind, Span, Value, nanoseconds

Row = Mapping[str, Any]


def stage_span(row: Row, stage: Mapping[str, Any], id: str, begin: int) -> Span:
    name, error = stage["name"], stage.get("error")
    common, own = _STAGES[name](row, stage, error)
    started = begin + nanoseconds(stage["started_ms"])
    span = Span(
        "llmgw." + name,
        Kind.INTERNAL,
        id,
        row["span_id"],
        started,
        started + nanoseconds(stage["duration_ms"]),
        common,
        own,
    )
    if error is not None and is_failure(row):
        span.error = row["error"] or error
    return span


_Told = tuple[Common, dict[str, Value]]


def _auth(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    result = "ok" if error is None else "refused"
    return _common(error, ("llmgw.auth.method", stage["method"]), ("llmgw.auth.result", result)), {}


def _budget(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    own: dict[str, Value] = {}
    if stage["result"] == "denied":
        own = {attribute: stage[name] for name, attribute in _BUDGET.items() if name in stage}
        if stage.get("unit") == "usd":
            own |= {_BUDGET[name]: stage[name] / NANO for name in ("limit", "remaining", "asked")}
    elif row["reserved_nano_usd"] is not None:
        own["llmgw.budget.unit"] = "usd"
        own["llmgw.budget.reserved"] = row["reserved_nano_usd"] / NANO
        own["llmgw.budget.actual"] = (row["cost_nano_usd"] or 0) / NANO
    return _common(error, ("llmgw.budget.result", stage["result"])), own


_BUDGET = {
    "scope": "llmgw.budget.scope",
    "budget": "llmgw.budget.id",
    "unit": "llmgw.budget.unit",
    "limit": "llmgw.budget.limit",
    "remaining": "llmgw.budget.remaining",
    "asked": "llmgw.budget.asked",
}


def _cache(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    own: dict[str, Value] = {name: row[field] for field, name in _CACHE.items() if row.get(field) is not None}
    if row.get("saved_nano_usd") is not None:
        own["llmgw.cache.saved"] = row["saved_nano_usd"] / NANO
    return _common(error, ("llmgw.cache.kind", stage["kind"]), ("llmgw.cache.result", stage["result"])), own


_CACHE = {
    "cache_reason": "llmgw.cache.reason",
    "similarity": "llmgw.cache.similarity",
    "cache_entry": "llmgw.cache.entry",
}


def _route(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    plan = tuple(stage["plan"]) if "plan" in stage else None
    return _common(
        error,
        ("llmgw.policy.version", row["policy"]),
        ("llmgw.route.strategy", row["reason"]),
        ("llmgw.route.candidates", plan),
        ("llmgw.route.rule", row["route"]),
        ("llmgw.route.deployment", row["deployment"]),
    ), {}


def _meter(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    own: dict[str, Value] = {}
    if row["cost_nano_usd"] is not None:
        own["llmgw.cost.total"] = row["cost_nano_usd"] / NANO
    return _common(error, ("llmgw.usage.estimated", bool(row["estimated"])), ("llmgw.cost.source", "price_table")), own


_STAGES = {"auth": _auth, "budget": _budget, "cache": _cache, "route": _route, "meter": _meter}


@lru_cache(KEPT)
def _common(error: str | None, *pairs: tuple[str, Value | None]) -> Common:
    values = {name: value for name, value in pairs if value is not None}
    return Common(values if error is None else {**values, "error.type": error})
