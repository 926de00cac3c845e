"""The count of tokens in chat's words."""

from __future__ import annotations

from typing import Any


def chat_usage(usage: Any) -> dict[str, Any] | None:
    """What the provider counted, or None when it counted nothing."""
    if not isinstance(usage, dict) or "input_tokens" not in usage:
        return None
    of_input, of_output = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        **({"prompt_tokens_details": of_input} if isinstance(of_input, dict) else {}),
        **({"completion_tokens_details": of_output} if isinstance(of_output, dict) else {}),
    }
