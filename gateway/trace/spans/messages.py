"""What was said in a call in the form that OpenTelemetry's conventions give it: JSON of messages, each with a role and parts, and
the name of the prompt that they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson


def input_messages(said: Any) -> str:
    """The value of `gen_ai.input.messages`, from a request's messages, prompt or input."""
    if isinstance(said, list) and all(isinstance(each, dict) for each in said):
        return _json([{"role": each.get("role", "user"), "parts": list(_parts(each))} for each in said])
    return _json([{"role": "user", "parts": [{"type": "text", "content": said}]}])


def output_messages(texts: Sequence[str], reasons: Sequence[str]) -> str:
    """The value of `gen_ai.output.messages`; `reasons` are why each choice ended."""
    padded = [*reasons, *["stop"] * len(texts)]
    return _json(
        [
            {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": reason}
            for text, reason in zip(texts, padded, strict=False)
        ]
    )


def prompt(row: Mapping[str, Any]) -> dict[str, str]:
    """Which template was put round the call, as attributes; none without one."""
    told = row.get("prompt")
    if told is None:
        return {}
    return {
        "gen_ai.prompt.name": told["name"],
        "gen_ai.prompt.version": str(told["version"]),
        "llmgw.template.hash": told["hash"],
    }


def _parts(message: Mapping[str, Any]) -> Iterator[Any]:
    content = message.get("content")
    if message.get("role") == "tool":
        yield {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}
    elif isinstance(content, list):
        for part in content:
            is_text = isinstance(part, dict) and "text" in part
            yield {"type": "text", "content": part["text"]} if is_text else part
    elif content is not None:
        yield {"type": "text", "content": content}
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and isinstance(function := call.get("function"), dict):
            told = {"id": call.get("id"), "name": function.get("name"), "arguments": function.get("arguments")}
            yield {"type": "tool_call", **told}


def _json(value: object) -> str:
    """The standard library writes lone surrogates and endless integers, too, which orjson does not."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value)
