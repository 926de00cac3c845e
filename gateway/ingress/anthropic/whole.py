"""A chat completion as a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.ingress.tool_names import Names

_STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def message(completion: Mapping[str, Any], names: Names) -> bytes:
    """`names` are those of the request's tools."""
    choice = next((each for each in completion["choices"] if each.get("index", 0) == 0), completion["choices"][0])
    sequence = choice.get("stop_reason") if isinstance(choice.get("stop_reason"), str) else None
    usage = completion.get("usage")
    return msgspec.json.encode(
        {
            "id": message_id(completion.get("id")),
            "type": "message",
            "role": "assistant",
            "model": completion.get("model") or "",
            "content": _content(choice["message"], names),
            "stop_reason": stop_reason(choice.get("finish_reason"), sequence),
            "stop_sequence": sequence,
            "usage": usage_of(usage) if isinstance(usage, dict) else {"input_tokens": 0, "output_tokens": 0},
        }
    )


def message_id(id: Any) -> str:
    """The answer's id in the form that Anthropic's have."""
    text = id if isinstance(id, str) else ""
    return text if text.startswith("msg_") else f"msg_{text.removeprefix('chatcmpl-')}"


def stop_reason(finish_reason: Any, sequence: str | None) -> str:
    if sequence is not None:
        return "stop_sequence"
    return _STOP_REASONS.get(finish_reason, "end_turn") if isinstance(finish_reason, str) else "end_turn"


def usage_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Anthropic's `input_tokens` are those neither read from nor written to a cache."""
    details = usage.get("prompt_tokens_details")
    told = details if isinstance(details, dict) else {}
    read, written = _count(told.get("cached_tokens")), _count(told.get("cache_write_tokens"))
    counted: dict[str, Any] = {
        "input_tokens": max(0, _count(usage.get("prompt_tokens")) - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": _count(usage.get("completion_tokens")),
    }
    if isinstance(creation := told.get("cache_creation_token_details"), dict):
        counted["cache_creation"] = creation
    for name in ("server_tool_use", "cost_usd"):
        if usage.get(name) is not None:
            counted[name] = usage[name]
    return counted


def _content(said: Mapping[str, Any], names: Names) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    thoughts = said.get("thinking_blocks")
    reasoning = said.get("reasoning_content") or said.get("reasoning")
    if isinstance(thoughts, list):
        blocks += [block for block in thoughts if isinstance(block, dict)]
    elif isinstance(reasoning, str):
        blocks.append({"type": "thinking", "thinking": reasoning, "signature": ""})
    for text in (said.get("content"), said.get("refusal")):
        written = text if isinstance(text, str) else _texts(text)
        if written:
            blocks.append({"type": "text", "text": written})
    calls = said.get("tool_calls") or ()
    for call in [call for call in calls if isinstance(call, dict)]:
        function = call.get("function") or {}
        name, _ = names.of(str(function.get("name") or ""))
        tool = {"id": call.get("id"), "name": name, "input": _input(function.get("arguments"))}
        blocks.append({"type": "tool_use", **tool})
    return blocks


def _texts(content: Any) -> str:
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _input(arguments: Any) -> Any:
    """Arguments that are no object, as a cut answer may have them, are told as they came."""
    try:
        value = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": arguments}


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
