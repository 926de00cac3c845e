"""Rows of calls that have ended, as gateway.trace.row makes them."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def a_try(**fields: Any) -> Row:
    return {
        "number": 1,
        "deployment": "openai/gpt-4o",
        "provider": "openai",
        "upstream_model": "gpt-4o-2024",
        "address": "api.openai.com",
        "reason": "primary",
        "status": 200,
        "error": None,
        "fault": None,
        "duration_ms": 300.0,
        "first_byte_ms": 120.0,
    } | fields


def a_row(**fields: Any) -> Row:
    """A call of acme/search that the model gpt-4o has answered."""
    return {
        "id": "req_1",
        "at": 1_800_000_000.0,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "sampled": True,
        "status": 200,
        "outcome": "upstream",
        "error_code": None,
        "org": "acme",
        "team": "search",
        "user": "ann",
        "method": "POST",
        "path": "/v1/chat/completions",
        "operation": "chat",
        "model": "gpt-4o",
        "stream": False,
        "tags": [],
        "route": None,
        "reason": "named",
        "cache": "bypass",
        "cache_reason": None,
        "saved_nano_usd": None,
        "deployment": "openai/gpt-4o",
        "provider": "openai",
        "input_tokens": 100,
        "output_tokens": 11,
        "cached_tokens": 20,
        "reasoning_tokens": 5,
        "cost_nano_usd": 2_500_000,
        "duration_ms": 320.0,
        "first_byte_ms": 120.0,
        "overhead_ms": 2.0,
        "stages": [{"name": "auth"}, {"name": "cache", "kind": "replay", "result": "bypass"}, {"name": "route"}],
        "attempts": [a_try()],
    } | fields


def refused(code: str = "model_not_found", **fields: Any) -> Row:
    """A call that no provider has seen."""
    nothing = dict.fromkeys(
        "deployment provider reason route cache input_tokens output_tokens cached_tokens reasoning_tokens cost_nano_usd "
        "first_byte_ms".split()
    )
    return a_row(outcome="rejected_policy", status=404, error_code=code, attempts=[], **nothing) | fields
