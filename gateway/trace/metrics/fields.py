"""The fields of calls that metrics tell apart: those that dialects of clients have at their top, whatever clients may write."""

from __future__ import annotations

import re

from gateway.trace.metrics.names import OTHER

_PLACE = re.compile(r"[.\[]")
_FIELDS = frozenset(
    (
        *("audio", "best_of", "cache_control", "container", "context_management", "conversation", "dimensions", "echo"),
        *("encoding_format", "frequency_penalty", "function_call", "functions", "include", "input", "instructions"),
        *("logit_bias", "logprobs", "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tool_calls"),
        *(
            "mcp_servers",
            "messages",
            "metadata",
            "modalities",
            "n",
            "output_config",
            "parallel_tool_calls",
            "prediction",
        ),
        *("presence_penalty", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_retention"),
        *("reasoning", "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop"),
        *("stop_sequences", "store", "stream_options", "suffix", "system", "temperature", "text", "thinking"),
        *("tool_choice", "tools", "top_k", "top_logprobs", "top_p", "truncation", "user", "verbosity"),
        *("web_search_options",),
    )
)


def field(path: str) -> str:
    """As a label: `messages` of `messages[2].name`."""
    name = _PLACE.split(path, maxsplit=1)[0]
    return name if name in _FIELDS else OTHER
