"""The parameters of a message's request in chat's terms.

Only what the gateway acts on is judged; everything else is the provider's to judge. What chat has no word for stays under its own
name, for providers of the same dialect, and is told as dropped by others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import InvalidRequest
from gateway.ingress import parameters
from gateway.ingress.anthropic.content import Reading, wrong
from gateway.ingress.tool_names import Names, flat

MAX_MESSAGES = 100_000
MAX_TOOLS = 1024
_MAX_INT = 2**31 - 1
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_TIERS = {"auto": "auto", "standard_only": "default"}
_EFFORTS = {"max": "xhigh"}
_READ = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "stream", "tools", "tool_choice", "stop_sequences", "metadata"),
        *(
            "output_config",
            "output_format",
            "service_tier",
            "thinking",
            "temperature",
            "top_p",
            "top_k",
            "cache_control",
        ),
    }
)
_KNOWN = _READ | {
    *("container", "context_management", "diagnostics", "inference_geo", "llmgw", "mcp_servers", "speed"),
    *("user_profile_id", "workspace_id"),
}
"""What a strict policy lets pass."""


def chat_fields(
    fields: Mapping[str, Any], *, strict: bool, counts: bool = False, is_templated: bool = False
) -> tuple[dict[str, Any], frozenset[str]]:
    """The call in chat's terms and what it uses, as FEATURES names it. `counts`: tokens are counted, and nothing is said.
    `is_templated`: there need be no messages.

    Raises InvalidRequest.
    """
    parameters.check_names(fields, _READ)
    if is_templated and fields.get("messages") is None:
        fields = {**fields, "messages": []}
    _judge(fields, counts=counts, is_templated=is_templated)
    reading = Reading()
    told: dict[str, Any] = {"model": fields["model"]}
    told["messages"] = [*reading.system(fields.get("system")), *reading.messages(fields["messages"])]
    for name in ("max_tokens", "stream", "thinking", "temperature", "top_p", "top_k", "cache_control"):
        if fields.get(name) is not None:
            told[name] = fields[name]
    told |= _tools(fields)
    told |= _beside(fields)
    told |= _output(fields)
    told |= {name: value for name, value in fields.items() if name not in _READ}
    if strict:
        _check_strictly(fields)
    return told, frozenset(reading.found) | parameters.features(told)


def lost(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """What chat has no word for, and no answer depends on."""
    metadata = fields.get("metadata")
    return tuple(f"metadata.{name}" for name in metadata if name != "user_id") if isinstance(metadata, dict) else ()


def names_of(fields: Mapping[str, Any]) -> Names:
    """Of tools that were read."""
    return Names([(tool["name"], None) for tool in fields.get("tools") or () if isinstance(tool.get("name"), str)])


def _judge(fields: Mapping[str, Any], *, counts: bool, is_templated: bool) -> None:
    model, turns, most = fields.get("model"), fields.get("messages"), fields.get("max_tokens")
    for name in ("model", "messages", *(() if counts else ("max_tokens",))):
        if fields.get(name) in (None, ""):
            raise wrong(name, "Field required", "missing_required_parameter")
    if not isinstance(model, str):
        raise wrong("model", "must be a string", "invalid_type")
    if not isinstance(turns, list):
        raise wrong("messages", "must be an array", "invalid_type")
    if not turns and not is_templated:
        raise wrong("messages", "at least one message is required", "empty_array")
    if len(turns) > MAX_MESSAGES:
        raise wrong("messages", f"at most {MAX_MESSAGES} messages", "too_many_messages")
    if most is not None and (type(most) is not int or not 1 <= most <= _MAX_INT):
        raise wrong("max_tokens", f"must be an integer from 1 to {_MAX_INT}")
    if not isinstance(fields.get("stream", False), bool):
        raise wrong("stream", "must be true or false", "invalid_type")


def _tools(fields: Mapping[str, Any]) -> dict[str, Any]:
    tools, choice = fields.get("tools"), fields.get("tool_choice")
    told: dict[str, Any] = {}
    if tools is not None and (not isinstance(tools, list) or len(tools) > MAX_TOOLS):
        raise wrong("tools", f"must be an array of at most {MAX_TOOLS} tools")
    if tools:
        told["tools"] = [_tool(tool, f"tools.{index}") for index, tool in enumerate(tools)]
        names = [name for tool in tools if (name := tool.get("name")) and isinstance(name, str)]
        if len(set(names)) < len(names):
            raise wrong("tools", "Tool names must be unique.")
    if choice is None:
        return told
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "tool" and isinstance(choice.get("name"), str):
        told["tool_choice"] = {"type": "function", "function": {"name": flat(choice["name"])}}
    elif isinstance(kind, str) and kind in _CHOICES:
        told["tool_choice"] = _CHOICES[kind]
    else:
        raise wrong("tool_choice.type", "must be auto, any, none, or tool with a name")
    if choice.get("disable_parallel_tool_use") is True:
        told["parallel_tool_calls"] = False
    return told


def _tool(tool: Any, where: str) -> dict[str, Any]:
    """One of a kind of its own, which a provider knows by its type, stays as it is."""
    if not isinstance(tool, dict):
        raise wrong(where, "must be an object", "invalid_type")
    if tool.get("type") not in (None, "custom"):
        return tool
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        raise wrong(f"{where}.name", "Field required", "missing_required_parameter")
    if not isinstance(tool.get("input_schema"), dict):
        raise wrong(f"{where}.input_schema", "Field required", "missing_required_parameter")
    function = {"name": flat(tool["name"]), "parameters": tool["input_schema"]}
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    beside = ("type", "name", "input_schema", "description", "strict")
    return {"type": "function", "function": function, **{n: v for n, v in tool.items() if n not in beside}}


def _beside(fields: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if stop := fields.get("stop_sequences"):
        told["stop"] = stop
    metadata = fields.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("user_id"), str):
        told["user"] = metadata["user_id"]
    tier = fields.get("service_tier")
    if tier is not None:
        told["service_tier"] = _TIERS.get(tier, tier) if isinstance(tier, str) else tier
    return told


def _output(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Structured output and effort."""
    config = fields.get("output_config")
    config = config if isinstance(config, dict) else {}
    form, effort = config.get("format") or fields.get("output_format"), config.get("effort")
    told: dict[str, Any] = {}
    if isinstance(form, dict) and form.get("type") == "json_schema":
        if not isinstance(form.get("schema"), dict):
            raise wrong("output_config.format.schema", "Field required", "missing_required_parameter")
        told["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": form["schema"]},
        }
    rest = {name: value for name, value in config.items() if name not in ("format", "effort")}
    if rest:
        told["output_config"] = rest
    if isinstance(effort, str):
        told["reasoning_effort"] = _EFFORTS.get(effort, effort)
    return told


def _check_strictly(fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name not in _KNOWN:
            raise InvalidRequest(
                f"{name[:64]}: Extra inputs are not permitted", code="unknown_parameter", param=name[:64]
            )
    for name in ("temperature", "top_p"):
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
            raise wrong(name, "must be a number from 0 to 1")
