"""The provider's own count of tokens."""

from __future__ import annotations

from typing import Any, TypeGuard

from gateway.core.call import Operation
from gateway.core.usage import Usage


def read_usage(usage: Any, operation: Operation) -> Usage | None:
    """The provider's own count, or None when it gave none that can be true."""
    if not isinstance(usage, dict):
        return None
    sent = usage.get("prompt_tokens")
    made = usage.get("completion_tokens", 0 if operation is Operation.EMBEDDINGS else None)
    if not _is_count(sent) or not _is_count(made):
        return None
    cached = _detail(usage.get("prompt_tokens_details"), "cached_tokens")
    reasoning = _detail(usage.get("completion_tokens_details"), "reasoning_tokens")
    return Usage(sent, made, min(sent, cached), min(made, reasoning))


def _detail(details: Any, name: str) -> int:
    count = details.get(name) if isinstance(details, dict) else None
    return count if _is_count(count) else 0


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**31
