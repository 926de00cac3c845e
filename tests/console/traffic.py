"""A week of made-up calls, each made from its number alone when it is asked for: 0 is the latest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

CALLS = 100_000
HOSTILE = "<img src=x onerror=alert(1)>"
LONG = "a-very-long-name-" * 12
ENTRY = f"00000000000000aa:{0:064x}"
"""The name of a kept answer."""
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "auto", HOSTILE)
DEPLOYMENTS = {
    "gpt-4o": "openai/gpt-4o",
    "gpt-4o-mini": "openai/gpt-4o-mini",
    "claude-sonnet-4-5": "anthropic/claude-sonnet-4-5",
    "gemini-2.5-flash": "gemini/gemini-2.5-flash",
    "auto": "groq/llama-3.3-70b",
    HOSTILE: f"vllm/{HOSTILE}",
}
TENANTS = ("acme/search", "acme/support", "globex/research", f"initech/{LONG}", f"{HOSTILE}/{HOSTILE}")
PRICES = {
    "gpt-4o": (2500, 10000),
    "gpt-4o-mini": (150, 600),
    "claude-sonnet-4-5": (3000, 15000),
    "gemini-2.5-flash": (300, 2500),
}
"""Nano-USD for a token in and out."""
OUTCOMES = {
    "gateway": (200, None),
    "cache_exact": (200, None),
    "cache_semantic": (200, None),
    "cache_replay": (200, None),
    "stopped_budget": (200, None),
    "rejected_auth": (401, "invalid_api_key"),
    "rejected_request": (400, "invalid_value"),
    "rejected_policy": (404, "model_not_found"),
    "rejected_rate": (429, "rate_limit_exceeded"),
    "rejected_budget": (429, "budget_exceeded"),
    "upstream_error": (502, "upstream_unavailable"),
    "overloaded": (503, "overloaded"),
    "client_abort": (499, "client_disconnected"),
    "internal_error": (500, "internal_error"),
    "orphaned": (500, "worker_died"),
}
_RARE = tuple(OUTCOMES)
_REFUSED_EARLY = (
    "rejected_auth",
    "rejected_request",
    "rejected_policy",
    "rejected_rate",
    "rejected_budget",
    "overloaded",
)
_MASK = (1 << 64) - 1
Call = dict[str, Any]


def dice(number: int, use: int, sides: int) -> int:
    """The same throw for the same number and use."""
    mixed = (number * 0x9E3779B97F4A7C15 + use * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    return (mixed ^ (mixed >> 27)) % sides


def call(number: int, now: float) -> Call:
    """The call of this number; every 9th came to something else than an answer from a provider."""
    model = MODELS[min(dice(number, 1, 14) // 2, 5)] if number % 50 else HOSTILE
    outcome = _RARE[dice(number, 2, len(_RARE))] if number % 9 == 4 else "upstream"
    status, code = OUTCOMES.get(outcome, (200, None))
    record = _empty(number, now)
    record |= {"status": status, "outcome": outcome, "error_code": code}
    if code is not None:
        record |= {"error": f"It failed: {HOSTILE}", "failed_in": "upstream"}
    if outcome == "rejected_auth":
        return record
    record |= _asked(number, model)
    if outcome in _REFUSED_EARLY:
        return record
    return record | _answered(number, model, outcome)


def _empty(number: int, now: float) -> Call:
    names = """parent_span_id error failed_in org team tenant key_id key_name user model stream conversation template route reason
    cache cache_kind cache_reason cache_entry cache_answer similarity saved_nano_usd saved_ms
    deployment provider upstream_model response_model input_tokens output_tokens cached_tokens
    cache_write_tokens reasoning_tokens audio_tokens estimated cost_nano_usd reserved_nano_usd first_byte_ms chunks"""
    duration = 0.4 + dice(number, 3, 900) / 1000
    return {
        "id": f"req_{number:017x}",
        "at": now - 6 * number - 1,
        "trace_id": f"{number + 1:032x}",
        "span_id": f"{number + 1:016x}",
        **dict.fromkeys(names.split()),
        "method": "POST",
        "path": "/v1/chat/completions",
        "operation": "chat",
        "tags": [],
        "finish_reasons": [],
        "policy": "f0bc64e737a3",
        "duration_ms": duration,
        "overhead_ms": duration,
        "stages": [],
        "attempts": [],
    }


def _asked(number: int, model: str) -> Call:
    tenant = TENANTS[dice(number, 4, 12) % 3] if number % 40 else TENANTS[3 + number // 40 % 2]
    org, _, team = tenant.partition("/")
    return {
        "org": org,
        "team": team,
        "tenant": tenant,
        "key_id": f"key{dice(number, 5, 6)}",
        "key_name": ("search-app", "ci", HOSTILE)[dice(number, 5, 3)],
        "user": f"user-{dice(number, 6, 100)}",
        "model": model,
        "stream": number % 2 == 0,
        "tags": ["prod"] if number % 3 else ["prod", HOSTILE],
        "conversation": f"conv-{number // 7}",
        "route": "auto" if model == "auto" else None,
        "reason": "the request is short and has no tools" if model == "auto" else "the client named the model",
    }


def _answered(number: int, model: str, outcome: str) -> Call:
    tokens_in, tokens_out = 40 + dice(number, 7, 3000), 10 + dice(number, 8, 900)
    if number % 97 == 0:
        tokens_in *= 40
    price_in, price_out = PRICES.get(model, (590, 790))
    cost = tokens_in * price_in + tokens_out * price_out
    first = 120 + dice(number, 9, 600) + (4000 if number % 61 == 0 else 0)
    duration = first + tokens_out * 9 + 0.125
    answered: Call = {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "cached_tokens": tokens_in // 4 if number % 4 == 0 else 0,
        "reasoning_tokens": 0,
        "estimated": number % 30 == 0,
        "cost_nano_usd": cost,
        "cache": "miss",
        "cache_reason": ("new", "expired", "guard_number", HOSTILE)[number % 4],
        "finish_reasons": ["stop"],
    }
    if outcome.startswith("cache"):
        kind = "semantic-hit" if outcome == "cache_semantic" else "hit"
        return answered | {
            "cache": kind,
            "cache_kind": outcome.removeprefix("cache_"),
            "cache_reason": None,
            "cache_entry": None if outcome == "cache_replay" else ENTRY,
            "similarity": 0.97 if outcome == "cache_semantic" else None,
            "saved_ms": 812.5,
            "cost_nano_usd": 0,
            "saved_nano_usd": cost,
            "first_byte_ms": 1.1,
        }
    deployment = DEPLOYMENTS[model]
    provider, _, upstream_model = deployment.partition("/")
    attempts = [_attempt(1, deployment, started=0.9, duration=duration - 1.4, first=first)]
    if number % 5 == 1:
        failed = _attempt(1, f"azure/{upstream_model}", started=0.9, duration=310.5, first=None)
        failed |= {
            "status": 503,
            "error": "upstream_unavailable",
            "fault": "upstream",
            "detail": f"overloaded {HOSTILE}",
        }
        attempts = [failed, attempts[0] | {"number": 2, "reason": "fallback", "started_ms": 312.0}]
        duration += 311
    return answered | {
        "deployment": deployment,
        "provider": provider,
        "upstream_model": upstream_model,
        "response_model": f"{upstream_model}-2026-08-06",
        "reserved_nano_usd": cost * 3,
        "duration_ms": duration,
        "first_byte_ms": attempts[-1]["started_ms"] + first,
        "overhead_ms": 1.4,
        "waited_ms": 0.0,
        "chunks": tokens_out // 3,
        "attempts": attempts,
    }


def _attempt(number: int, deployment: str, *, started: float, duration: float, first: float | None) -> Call:
    return {
        "number": number,
        "deployment": deployment,
        "provider": deployment.partition("/")[0],
        "reason": "primary",
        "status": 200,
        "error": None,
        "fault": None,
        "detail": None,
        "started_ms": started,
        "duration_ms": duration,
        "first_byte_ms": first,
        "upstream_request_id": f"up-{number}",
    }


def told(record: Call) -> Call:
    """The call with what only the page of one call gets: its story, its spans, its stages."""
    attempts: list[Call] = record["attempts"]
    stages: list[Call] = [
        {"name": "auth", "started_ms": 0.1, "duration_ms": 0.2, "method": "virtual_key"},
        {"name": "budget", "started_ms": 0.35, "duration_ms": 0.2, "result": "held", "account": "org:acme:usd/day"},
        {"name": "cache", "started_ms": 0.6, "duration_ms": 0.1, "kind": "replay", "result": "bypass"},
        {
            "name": "route",
            "started_ms": 0.7,
            "duration_ms": 0.1,
            "route": record["route"],
            "reason": record["reason"],
            "plan": [each["deployment"] for each in attempts],
        },
    ]
    root = record["span_id"]
    spans = [
        {
            "name": "POST /v1/chat/completions",
            "kind": "SERVER",
            "span_id": root,
            "parent_span_id": None,
            "started_ms": 0,
            "duration_ms": record["duration_ms"],
            "status": "ERROR" if record["status"] >= 500 else "OK",
            "error": record["error"],
            "attributes": {
                "http.response.status_code": record["status"],
                "llmgw.tenant": record["tenant"],
                "x": HOSTILE,
            },
        }
    ]
    for order, each in enumerate([*stages, *({**one, "name": f"chat {one['deployment']}"} for one in attempts)]):
        spans.append(
            {
                "name": each["name"],
                "kind": "CLIENT" if order >= len(stages) else "INTERNAL",
                "span_id": f"{root[:-3]}{order + 256:03x}",
                "parent_span_id": root,
                "started_ms": each["started_ms"],
                "duration_ms": each["duration_ms"],
                "status": "UNSET",
                "error": each.get("error"),
                "attributes": {"llmgw.stage": each["name"], "gen_ai.request.model": record["model"]},
            }
        )
    story = [
        f"{record['tenant'] or 'Somebody'} asked for {record['model']}.",
        *(f"Attempt {each['number']} at {each['deployment']}: {each['error'] or 'it answered'}." for each in attempts),
        f"It ended as {record['outcome']} with status {record['status']}.",
    ]
    content = {"input": [{"role": "user", "content": f"Say {HOSTILE}"}], "output": [HOSTILE]}
    return {**record, **_choice(record), "stages": stages, "spans": spans, "story": story, "content": content}


def _choice(record: Call) -> Call:
    """What a call of a route with candidates has besides."""
    decision = {
        "candidates": [
            {"name": "cheap", "standing": "certified", "skipped": None},
            {"name": f"checked {HOSTILE}", "standing": "certified", "skipped": f"a stream {HOSTILE}"},
            {"name": LONG, "standing": "revoked", "skipped": "revoked"},
        ],
        "candidate": "cheap",
        "score": 0.0213,
        "threshold": 0.05,
        "parts": {"route": 0.03, f"word {HOSTILE}": -0.0087},
        "trials": [
            {"asks": "gpt-4o", "of": "cheap", "probability": 0.02},
            {"asks": HOSTILE, "of": HOSTILE, "probability": 0.25},
        ],
    }
    result = {"request_id": record["id"], "route": "chat", "candidate": "cheap", "asked": "gpt-4o", "is_audit": True}
    result |= {"probability": 0.02, "reference_quality": 1.0, "candidate_quality": 0.0, "reason": f"failed {HOSTILE}"}
    return {"decision": decision, "trials": [result], "made_for": f"req_{HOSTILE}"}


def between(now: float, since: float, until: float, *, first: int = 0, every: int = 1) -> Iterator[tuple[int, Call]]:
    """Numbers and calls of a time range, latest first, from number `first`; one in so many."""
    start = max(first, int((now - 1 - until) // 6))
    for number in range(-(-max(0, start) // every) * every, CALLS, every):
        record = call(number, now)
        if record["at"] < since:
            return
        if record["at"] <= until:
            yield number, record


def fits(record: Call, filters: Mapping[str, str]) -> bool:
    return all(_fits(record, name, value) for name, value in filters.items())


def _fits(record: Call, name: str, value: str) -> bool:
    if name == "status":
        status = str(record["status"])
        return status[0] == value[0] if value.endswith("xx") else status == value
    if name in ("min_ms", "max_ms", "min_cost_usd", "max_cost_usd"):
        bound = float(value)
        have = record["duration_ms"] if name.endswith("_ms") else (record["cost_nano_usd"] or 0) / 1e9
        return bool(have >= bound if name.startswith("min") else have <= bound)
    if name == "tag":
        return value in record["tags"]
    if name == "stream":
        return bool(record["stream"] == (value == "true"))
    if name == "text":
        return value.lower() in f"{record['error']} {record['tags']} {record['model']} {record['user']}".lower()
    return bool(record[name] == value)
