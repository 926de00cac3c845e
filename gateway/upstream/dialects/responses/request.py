"""A chat's call as a request for a response: every field is forwarded, mapped, or named as dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.errors import InvalidRequest
from gateway.upstream.dialects.openai.carried import end_user
from gateway.upstream.dialects.responses.items import Items
from gateway.upstream.dialects.responses.native import SEALED

FORWARDED = frozenset(
    {
        *("stream", "temperature", "top_p", "parallel_tool_calls", "metadata", "service_tier", "user", "top_logprobs"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier"),
    }
)
"""What a request for a response says by the same name."""

_ELSEWHERE = frozenset(
    {"model", "messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "stream_options", "llmgw"}
)
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "store": (False,),
    "n": (1,),
    "logprobs": (False,),
    "modalities": (["text"],),
}
"""Values that say what is so anyhow."""


def responses_body(call: Call, deployment: Deployment, cap: int | None) -> tuple[bytes, tuple[str, ...]]:
    """The body, and what was left out. Raises InvalidRequest for several choices, which no response has."""
    fields = call.fields
    if fields.get("n", 1) not in (1, None):
        raise InvalidRequest("this model gives one choice", code="unsupported_parameter", param="n")
    items = Items()
    items.take(fields["messages"])
    told: dict[str, Any] = {"model": deployment.upstream_model, "input": items.items, "store": False}
    dropped = items.dropped
    for name, value in fields.items():
        if value is None or name in _ELSEWHERE or value in _HARMLESS.get(name, ()):
            continue
        if name in FORWARDED:
            told[name] = end_user(value) if name == "user" and isinstance(value, str) else value
        elif (mapped := _MAPPED.get(name)) is not None:
            mapped(value, told)
        else:
            dropped.append(name)
    most = call.output_cap if cap is None else cap
    if most is not None:
        told["max_output_tokens"] = most
    _tools(fields, told, dropped)
    if "reasoning" in told or any(item["type"] == "reasoning" for item in items.items):
        told["include"] = [*told.get("include", ()), SEALED]
    return msgspec.json.encode(told), tuple(dropped)


def _reasoning_effort(value: Any, told: dict[str, Any]) -> None:
    told["reasoning"] = {"effort": value}


def _verbosity(value: Any, told: dict[str, Any]) -> None:
    told["text"] = {**told.get("text", {}), "verbosity": value}


def _response_format(value: Any, told: dict[str, Any]) -> None:
    form = {"type": value["type"], **(value.get("json_schema") or {})}
    told["text"] = {**told.get("text", {}), "format": form}


def _logprobs(value: Any, told: dict[str, Any]) -> None:
    told["include"] = [*told.get("include", ()), "message.output_text.logprobs"]


_MAPPED: Mapping[str, Callable[[Any, dict[str, Any]], None]] = {
    "reasoning_effort": _reasoning_effort,
    "verbosity": _verbosity,
    "response_format": _response_format,
    "logprobs": _logprobs,
}


def _tools(fields: Mapping[str, Any], told: dict[str, Any], dropped: list[str]) -> None:
    tools = [_tool(tool, f"tools[{index}]", dropped) for index, tool in enumerate(fields.get("tools") or ())]
    if tools:
        told["tools"] = tools
    choice = fields.get("tool_choice")
    if isinstance(choice, str):
        told["tool_choice"] = choice
    elif isinstance(choice, dict) and isinstance(allowed := choice.get("allowed_tools"), dict):
        told["tool_choice"] = {
            "type": "allowed_tools",
            "mode": allowed.get("mode"),
            "tools": [_flat(each) for each in allowed.get("tools") or ()],
        }
    elif isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        told["tool_choice"] = _flat(choice)
    elif choice is not None:
        dropped.append("tool_choice")


def _flat(named: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(named.get("type"))
    return {"type": kind, **(named.get(kind) or {})}


def _tool(tool: Mapping[str, Any], where: str, dropped: list[str]) -> dict[str, Any]:
    """Functions are strict here unless they say otherwise, and in a chat the other way round."""
    if tool.get("cache_control") is not None:
        dropped.append(f"{where}.cache_control")
    match tool.get("type"):
        case "custom":
            custom = dict(tool.get("custom") or {})
            form = custom.get("format")
            if isinstance(form, dict) and isinstance(form.get("grammar"), dict):
                custom["format"] = {"type": "grammar", **form["grammar"]}
            return {"type": "custom", **custom}
        case "function" | None:
            function = tool.get("function") or {}
            return {"type": "function", "parameters": {}, "strict": False, **function}
        case _:
            return {name: value for name, value in tool.items() if name != "cache_control"}
