"""The count of tokens in chat's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def chat_usage(response: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the provider counted, or None when it counted nothing; and the searches of the web that its output tells."""
    usage = response.get("usage")
    if not isinstance(usage, dict) or "input_tokens" not in usage:
        return None
    of_input, of_output = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    searches = _searches(response.get("output"))
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        **({"prompt_tokens_details": of_input} if isinstance(of_input, dict) else {}),
        **({"completion_tokens_details": of_output} if isinstance(of_output, dict) else {}),
        **({"server_tool_use": {"web_search_requests": searches}} if searches else {}),
    }


def _searches(output: Any) -> int:
    """Pages that were opened or looked through are not billed."""
    calls = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    actions = [item.get("action") for item in calls if item.get("type") == "web_search_call"]
    return sum(1 for each in actions if not isinstance(each, dict) or each.get("type", "search") == "search")
