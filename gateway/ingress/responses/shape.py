"""The response object: what was asked, as OpenAI tells it again, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.usage import Usage

_TOLD_AGAIN: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_logprobs": 0,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "truncation": "disabled",
    "metadata": {},
    "user": None,
}
"""Members of the request, each with its default."""
_TEXT = {"format": {"type": "text"}, "verbosity": "medium"}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_STATUS = {"length": "incomplete", "content_filter": "incomplete"}
_CODES = {429: "rate_limit_exceeded"}


def response(
    id: str, fields: Mapping[str, Any], *, created: int, model: str, output: Sequence[Any] = (), is_kept: bool
) -> dict[str, Any]:
    """One under way. `fields` is the request; `created` is UTC seconds."""
    told = {name: default if fields.get(name) is None else fields[name] for name, default in _TOLD_AGAIN.items()}
    asked = fields.get("reasoning")
    reasoning = asked if isinstance(asked, dict) else {}
    text = fields.get("text")
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": list(output),
        **told,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": fields.get("service_tier") or "auto",
        "store": is_kept,
        "text": {**_TEXT, **(text if isinstance(text, dict) else {})},
        "tools": fields.get("tools") or [],
        "usage": None,
    }


def ended(
    begun: Mapping[str, Any], output: Sequence[Any], *, reason: str | None, usage: Mapping[str, Any] | None, now: int
) -> dict[str, Any]:
    """`reason` is chat's finish reason."""
    why = _INCOMPLETE.get(reason or "")
    return {
        **begun,
        "status": _STATUS.get(reason or "", "completed"),
        **({"completed_at": now} if why is None else {}),
        "incomplete_details": None if why is None else {"reason": why},
        "output": list(output),
        "usage": usage,
    }


def failed(begun: Mapping[str, Any], output: Sequence[Any], *, status: int, message: str) -> dict[str, Any]:
    error = {"code": _CODES.get(status, "server_error"), "message": message}
    return {**begun, "status": "failed", "error": error, "output": list(output)}


def usage_of(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.details.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
