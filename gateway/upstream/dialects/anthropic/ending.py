"""Why a message ended, in OpenAI's words."""

from __future__ import annotations

from collections.abc import Mapping

FINISH_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # the provider's own tools are not done: there is more to come
    "refusal": "content_filter",
}


def finish_reason(stop_reason: str) -> str:
    """A reason that nobody has heard of ends an answer all the same."""
    return FINISH_REASONS.get(stop_reason, "stop")
