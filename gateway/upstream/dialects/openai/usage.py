"""The provider's own count of tokens, as OpenAI tells it or as others tell it in OpenAI's place.

`prompt_tokens` include what was read from or written to a cache. `completion_tokens` include reasoning and predictions,
accepted or rejected; xAI and Gemini leave the reasoning out of them, but not out of `total_tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from gateway.core.call import Operation
from gateway.core.usage import NO_DETAILS, Details, Usage


def read_usage(usage: Any, operation: Operation) -> Usage | None:
    """The provider's own count, or None when it gave none that can be true."""
    if not isinstance(usage, dict):
        return None
    sent = usage.get("prompt_tokens")
    made = usage.get("completion_tokens", 0 if operation is Operation.EMBEDDINGS else None)
    if not _is_count(sent) or not _is_count(made):
        return None
    total = usage.get("total_tokens")
    left_out = total - sent - made if _is_count(total) and operation is not Operation.EMBEDDINGS else 0
    if left_out > 0:
        made += left_out
    of_input = _members(usage.get("prompt_tokens_details"))
    of_output = _members(usage.get("completion_tokens_details"))
    return Usage(
        input=sent,
        output=made,
        cached=_part(of_input.get("cached_tokens") or _cached(usage), sent),
        reasoning=max(_part(of_output.get("reasoning_tokens"), made), left_out),
        details=_details(
            _part(of_input.get("cache_write_tokens") or _cache_write(usage, of_input), sent),
            _part(of_input.get("audio_tokens"), sent),
            _part(of_output.get("audio_tokens"), made),
            _part(of_input.get("image_tokens"), sent),
            _part(of_output.get("image_tokens"), made),
            _part(_for_an_hour(usage, of_input), sent),
        ),
        searches=_searches(usage),
    )


def _cached(usage: Mapping[str, Any]) -> Any:
    """Beside the details: DeepSeek's name, Moonshot's, and Anthropic's as other gateways pass it on."""
    return usage.get("prompt_cache_hit_tokens") or usage.get("cached_tokens") or usage.get("cache_read_input_tokens")


def _cache_write(usage: Mapping[str, Any], of_input: Mapping[str, Any]) -> Any:
    """LiteLLM's name, and Anthropic's; that of OpenAI and OpenRouter is cache_write_tokens."""
    return of_input.get("cache_creation_tokens") or usage.get("cache_creation_input_tokens")


def _for_an_hour(usage: Mapping[str, Any], of_input: Mapping[str, Any]) -> Any:
    """Of the tokens put into a cache: LiteLLM's name for Anthropic's own, and that."""
    told = of_input.get("cache_creation_token_details") or usage.get("cache_creation")
    return _members(told).get("ephemeral_1h_input_tokens")


def _searches(usage: Mapping[str, Any]) -> int:
    """Searches of the web, as Anthropic counts them."""
    count = _members(usage.get("server_tool_use")).get("web_search_requests")
    return count if _is_count(count) else 0


def _details(*counts: int) -> Details:
    return Details(*counts) if any(counts) else NO_DETAILS


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _part(value: Any, whole: int) -> int:
    """A count that can be true, else 0; a part is never more than its whole."""
    return min(value, whole) if value and _is_count(value) else 0


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**31
