"""The span of a call itself, which its caller is waiting for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gateway.trace.spans.messages import prompt
from gateway.trace.spans.span import KEPT, NANO, Common, Event, Kind, Span, Value, nanoseconds

Row = Mapping[str, Any]


def is_failure(row: Row) -> bool:
    """Whether the gateway or a provider failed, and not the caller."""
    return bool(row["status"] >= 500)


def server_span(row: Row, begin: int) -> Span:
    code = row["error_code"]
    common = _server_common(
        row["method"],
        row["path"],
        row["status"],
        code,
        row["outcome"],
        row["org"],
        row["team"],
        row["key_id"],
        row["model"],
        row["policy"],
        row["route"],
        row["template"],
        row["cache"],
        row["failed_in"],
        len(row["attempts"]),
    )
    own: dict[str, Value] = {"llmgw.request.id": row["id"]}
    if row["overhead_ms"] is not None:
        own["llmgw.overhead.duration"] = row["overhead_ms"] / 1000
    if row["cost_nano_usd"] is not None:
        own["llmgw.cost.total"] = row["cost_nano_usd"] / NANO
        own["llmgw.cost.estimated"] = row["estimated"]
    if row["user"] is not None:
        own["llmgw.user.id"] = row["user"]
    if row["conversation"] is not None:
        own["session.id"] = row["conversation"]
    if row["tags"]:
        own["llmgw.tags"] = row["tags"]
    own |= prompt(row)
    span = Span(
        f"{row['method']} {row['path']}",
        Kind.SERVER,
        row["span_id"],
        row["parent_span_id"],
        begin,
        begin + nanoseconds(row["duration_ms"] or 0.0),  # nobody knows when a worker died
        common,
        own,
    )
    if code is not None:
        span.error = (row["error"] or code) if is_failure(row) else None
        span.events = (Event("exception", span.end, {"exception.type": code, "exception.message": row["error"] or ""}),)
    span.is_parent_remote = row["parent_span_id"] is not None
    if (link := row.get("link")) is not None:
        span.link = link["trace_id"], link["span_id"]
    return span


@lru_cache(KEPT)
def _server_common(
    method: str, path: str, status: int, code: str | None, outcome: str, *known: str | int | None
) -> Common:
    values: dict[str, Value] = {
        "http.request.method": method,
        "url.path": path,
        "url.scheme": "http",
        "http.route": path,
        "http.response.status_code": status,
        "llmgw.outcome": outcome,
    }
    if code is not None:
        values["error.type"] = code
    return Common(values | {name: value for name, value in zip(_KNOWN, known, strict=True) if value is not None})


_KNOWN = (
    "llmgw.org.id",
    "llmgw.team.id",
    "llmgw.key.id",
    "llmgw.request.model",
    "llmgw.policy.version",
    "llmgw.route",
    "llmgw.template",
    "llmgw.cache",
    "llmgw.failed_in",
    "llmgw.upstream.attempts",
)
