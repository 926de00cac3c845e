"""Records' rows as the journal has them, for whoever tells something from them."""

from __future__ import annotations

from typing import Any

from gateway.trace.row import Row

TRACE, ROOT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def attempt(number: int = 1, **changes: Any) -> Row:
    """One that was answered."""
    return {
        "number": number,
        "deployment": "openai/gpt-4o-mini",
        "provider": "openai",
        "upstream_model": "gpt-4o-mini",
        "address": "api.openai.com",
        "port": 443,
        "reason": "primary",
        "status": 200,
        "error": None,
        "fault": None,
        "detail": None,
        "started_ms": 2.0,
        "duration_ms": 250.0,
        "first_byte_ms": 200.0,
        "upstream_request_id": "req-of-openai",
        **changes,
    }


def failed(number: int = 1, **changes: Any) -> Row:
    return attempt(
        number, **{"status": 500, "error": "upstream_error", "fault": "upstream", "first_byte_ms": None, **changes}
    )


def stage(name: str, began: float = 0.0, took: float = 0.5, **more: Any) -> Row:
    return {"name": name, "started_ms": began, "duration_ms": took, **more}


def row(**changes: Any) -> Row:
    """A whole answer to one chat."""
    return {
        "id": "req_1",
        "at": 1795519396.532588,
        "trace_id": TRACE,
        "span_id": ROOT,
        "parent_span_id": None,
        "sampled": True,
        "status": 200,
        "outcome": "upstream",
        "error_code": None,
        "error": None,
        "failed_in": None,
        "org": "acme",
        "team": "search",
        "tenant": "acme/search",
        "key_id": "tIPXX4cAK8",
        "key_name": "search-ci",
        "user": None,
        "method": "POST",
        "path": "/v1/chat/completions",
        "operation": "chat",
        "model": "auto",
        "stream": False,
        "tags": [],
        "conversation": None,
        "parameters": {},
        "policy": "f0bc64e737a3",
        "template": None,
        "route": "small",
        "reason": "rule",
        "cache": "bypass",
        "similarity": None,
        "saved_nano_usd": None,
        "deployment": "openai/gpt-4o-mini",
        "provider": "openai",
        "upstream_model": "gpt-4o-mini",
        "response_model": "gpt-4o-mini-2024-07-18",
        "response_id": "chatcmpl-1",
        "finish_reasons": ["stop"],
        "input_tokens": 1200,
        "output_tokens": 34,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "estimated": False,
        "cost_nano_usd": 200_400,
        "reserved_nano_usd": 2_637_600,
        "duration_ms": 253.5,
        "first_byte_ms": 202.0,
        "overhead_ms": 3.5,
        "waited_ms": 0.0,
        "chunks": 0,
        "stages": [
            stage("auth", method="virtual_key"),
            stage("route", 0.6, 0.1, plan=["openai/gpt-4o-mini", "groq/llama-3.3-70b"]),
            stage("budget", 0.7, 1.2, result="granted"),
            stage("meter", 252.0, 0.4),
        ],
        "attempts": [attempt()],
        **changes,
    }


def refused(status: int, outcome: str, code: str, message: str, failed_in: str, **changes: Any) -> Row:
    """A call that nobody was asked about."""
    nothing = dict.fromkeys(
        (
            "deployment",
            "provider",
            "upstream_model",
            "response_model",
            "response_id",
            "input_tokens",
            "output_tokens",
            "cost_nano_usd",
            "estimated",
            "first_byte_ms",
            "reserved_nano_usd",
        )
    )
    told = {"status": status, "outcome": outcome, "error_code": code, "error": message, "failed_in": failed_in}
    return row(
        **{**nothing, "finish_reasons": [], "attempts": [], "duration_ms": 1.5, "overhead_ms": 1.5, **told, **changes}
    )
