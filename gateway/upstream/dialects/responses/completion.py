"""A whole response as a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.upstream.dialects.responses.usage import chat_usage

_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


def completion(response: Mapping[str, Any], created: int) -> dict[str, Any]:
    """A response that has failed is an error; one that has not come to its end has no finish reason. `created` is when, in the
    place of what the response does not say."""
    if response.get("error") or response.get("status") in ("failed", "cancelled"):
        return {"error": response.get("error") or {"message": "the response has failed"}}
    message = _message(response.get("output"))
    told: dict[str, Any] = {
        "id": response.get("id"),
        "object": "chat.completion",
        "created": int(response.get("created_at") or created),
        "model": response.get("model"),
        "choices": [
            {"index": 0, "message": message, "finish_reason": finish_reason(response, calls="tool_calls" in message)}
        ],
    }
    usage, tier = chat_usage(response), response.get("service_tier")
    if usage is not None:
        told["usage"] = usage
    if isinstance(tier, str):
        told["service_tier"] = tier
    return told


def finish_reason(response: Mapping[str, Any], *, calls: bool) -> str | None:
    """`calls`: tools were called."""
    match response.get("status"):
        case "completed":
            return "tool_calls" if calls else "stop"
        case "incomplete":
            details = response.get("incomplete_details")
            return _REASONS.get(str(details.get("reason")) if isinstance(details, dict) else "", "length")
        case _:
            return None


def called(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """A call of a tool as chat has it; None for every other item."""
    match item.get("type"):
        case "function_call":
            kind, inner = "function", {"name": item.get("name"), "arguments": item.get("arguments") or ""}
        case "custom_tool_call":
            kind, inner = "custom", {"name": item.get("name"), "input": item.get("input") or ""}
        case _:
            return None
    return {"id": item.get("call_id"), "type": kind, kind: inner}


def annotations_of(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Citations as chat has them."""
    told = part.get("annotations")
    return [
        {"type": each["type"], each["type"]: {name: value for name, value in each.items() if name != "type"}}
        for each in (told if isinstance(told, list) else ())
        if isinstance(each, dict) and isinstance(each.get("type"), str)
    ]


def _message(output: Any) -> dict[str, Any]:
    texts: list[str] = []
    refusals: list[str] = []
    thoughts: list[str] = []
    items: list[Any] = []
    calls: list[Any] = []
    notes: list[Any] = []
    for item in output if isinstance(output, list) else ():
        if not isinstance(item, dict):
            continue
        if item.get("type") == "reasoning":
            items.append(item)
            thoughts += [
                part["text"] for part in _parts(item, "summary", "content") if isinstance(part.get("text"), str)
            ]
        elif (call := called(item)) is not None:
            calls.append(call)
        for part in _parts(item, "content") if item.get("type") == "message" else ():
            texts += [part["text"]] if isinstance(part.get("text"), str) else []
            refusals += [part["refusal"]] if isinstance(part.get("refusal"), str) else []
            notes += annotations_of(part)
    return {
        "role": "assistant",
        "content": "".join(texts) if texts or not (calls or refusals) else None,
        "refusal": "".join(refusals) or None,
        **({"reasoning_content": "\n\n".join(thoughts)} if thoughts else {}),
        **({"reasoning_items": items} if items else {}),
        **({"tool_calls": calls} if calls else {}),
        **({"annotations": notes} if notes else {}),
    }


def _parts(item: Mapping[str, Any], *names: str) -> list[dict[str, Any]]:
    found = [item.get(name) for name in names]
    return [part for parts in found if isinstance(parts, list) for part in parts if isinstance(part, dict)]
