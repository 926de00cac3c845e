"""A complete message as a chat completion."""

from __future__ import annotations

from typing import Any

import jiter
import msgspec

from gateway.core.errors import Unavailable
from gateway.upstream.dialects.anthropic.citation import annotation
from gateway.upstream.dialects.anthropic.ending import finish_reason
from gateway.upstream.dialects.anthropic.usage import chat_usage


def completion(body: bytes, *, created: int) -> bytes:
    """The chat completion. One without a stop_reason has no finish_reason either. Raises Unavailable for what is no message."""
    try:
        message = jiter.from_json(body, allow_inf_nan=False, cache_mode="keys")
    except ValueError:
        raise _invalid("is not JSON") from None
    if not isinstance(message, dict):
        raise _invalid("is not an object")
    if message.get("type") == "error" or message.get("error"):
        raise Unavailable("the provider answered 200 with an error", code="upstream_invalid_response")
    content = message.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise _invalid("has no content")
    return msgspec.json.encode(_completion(message, content, created))


def completion_begun(body: bytes, *, created: int) -> bytes:
    """As much of it as can be read."""
    try:
        message = jiter.from_json(body, partial_mode="trailing-strings")
    except ValueError:
        return b"{}"
    if not isinstance(message, dict):
        return b"{}"
    content = message.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return msgspec.json.encode(_completion({**message, "stop_reason": None}, blocks, created))


def _completion(message: dict[str, Any], content: list[dict[str, Any]], created: int) -> dict[str, Any]:
    reason, usage = message.get("stop_reason"), message.get("usage")
    choice: dict[str, Any] = {
        "index": 0,
        "message": _message(content),
        "logprobs": None,
        "finish_reason": finish_reason(reason) if isinstance(reason, str) else None,
    }
    if isinstance(message.get("stop_sequence"), str):
        choice["stop_reason"] = message["stop_sequence"]
    told = chat_usage(usage) if isinstance(usage, dict) else None
    return {
        "id": message.get("id"),
        "object": "chat.completion",
        "created": created,
        "model": message.get("model"),
        "choices": [choice],
        **({} if told is None else {"usage": told}),
    }


def _message(content: list[dict[str, Any]]) -> dict[str, Any]:
    texts = [_string(block.get("text")) for block in content if block.get("type") == "text"]
    thoughts = [block for block in content if block.get("type") in ("thinking", "redacted_thinking")]
    thinking = [_string(block.get("thinking")) for block in thoughts if block["type"] == "thinking"]
    calls = [_tool_call(block) for block in content if block.get("type") == "tool_use"]
    cited = [block["citations"] for block in content if isinstance(block.get("citations"), list)]
    annotations = [note for each in cited for citation in each if (note := annotation(citation)) is not None]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None, "refusal": None}
    if "".join(thinking):
        message["reasoning_content"] = "".join(thinking)
    if thoughts:
        message["thinking_blocks"] = thoughts
    if calls:
        message["tool_calls"] = calls
    if annotations:
        message["annotations"] = annotations
    return message


def _tool_call(block: dict[str, Any]) -> dict[str, Any]:
    arguments = msgspec.json.encode(block.get("input") or {}).decode()
    return {
        "id": block.get("id"),
        "type": "function",
        "function": {"name": block.get("name"), "arguments": arguments},
    }


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _invalid(what: str) -> Unavailable:
    """It has answered, and so may have worked: asking again may cost again."""
    return Unavailable(f"the provider's answer {what}", code="upstream_invalid_response", retriable=False)
