"""Anthropic's count of tokens in OpenAI's words.

Its `input_tokens` are those neither read from nor written to a cache; OpenAI's `prompt_tokens` are all of them. A stream counts
its output anew in each `message_delta`: later members replace earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard


def chat_usage(usage: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `usage` of a chat completion; None where the counts cannot be true."""
    fresh, made = usage.get("input_tokens"), usage.get("output_tokens")
    if not _is_count(fresh) or not _is_count(made):
        return None
    read, written = _count(usage.get("cache_read_input_tokens")), _count(usage.get("cache_creation_input_tokens"))
    details = usage.get("output_tokens_details")
    thought = _count(details.get("thinking_tokens")) if isinstance(details, dict) else 0
    sent = fresh + read + written
    told: dict[str, Any] = {
        "prompt_tokens": sent,
        "completion_tokens": made,
        "total_tokens": sent + made,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    if written and isinstance(usage.get("cache_creation"), dict):
        told["prompt_tokens_details"]["cache_creation_token_details"] = usage["cache_creation"]
    if isinstance(usage.get("server_tool_use"), dict):
        told["server_tool_use"] = usage["server_tool_use"]
    return told


def _count(value: Any) -> int:
    return value if _is_count(value) else 0


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**31
