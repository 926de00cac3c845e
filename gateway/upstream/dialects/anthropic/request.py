"""The request of a client of another dialect: what it said in chat's terms."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.call import Call, Operation
from gateway.core.deployment import MAX_OUTPUT, Deployment
from gateway.core.errors import InvalidRequest
from gateway.upstream.dialects.anthropic import tools
from gateway.upstream.dialects.anthropic.messages import Turns
from gateway.upstream.dialects.anthropic.schema import closed
from gateway.upstream.dialects.anthropic.thinking import is_thinking, takes_sampling, thinking_for

_OWN_FIELD = "llmgw"
_READ = frozenset(
    {
        *("model", "messages", "max_tokens", "max_completion_tokens", "stream", "stream_options", "stop", "user", "n"),
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "thinking", _OWN_FIELD),
        *("temperature", "top_p", "top_k", "safety_identifier", "service_tier", "modalities", "cache_control"),
    }
)
"""The members of a chat that are acted on here, each of them forwarded, mapped or told as dropped."""
_TIERS = {"auto": "auto", "default": "standard_only"}
_NEVER = ("functions", "function_call", "audio")
"""Without these an answer is another one, and nothing here can stand for them."""


def body_of(call: Call, deployment: Deployment, cap: int | None, *, dropped: list[str]) -> bytes:
    """The request in Anthropic's words. `dropped` gets the paths of what it has no word for. Raises InvalidRequest."""
    fields = call.fields
    if call.operation is not Operation.CHAT:
        raise InvalidRequest(
            f"{deployment.name} speaks Anthropic's messages: it only chats", code="unsupported_operation"
        )
    _refuse(fields)
    turns = Turns(fields["messages"], dropped=dropped, is_theirs=call.dialect == "anthropic")
    most = cap or call.output_cap or _most(deployment)
    request: dict[str, Any] = {"model": deployment.upstream_model, "max_tokens": most}
    if turns.system:
        request["system"] = turns.system
    request["messages"] = turns.messages
    if call.stream:
        request["stream"] = True
    request |= _tools(fields, dropped)
    request |= _thinking(call, request, turns, deployment, dropped)
    request |= _sampling(call, request, deployment, dropped)
    request |= _beside(fields, dropped)
    if form := _format(fields.get("response_format"), dropped):
        request["output_config"] = {**request.get("output_config", {}), "format": form}
    for name, value in fields.items():
        if name not in _READ and value is not None:
            if call.dialect == "anthropic":
                own = request.get(name)  # its own words, which chat has none for
                request[name] = {**value, **own} if isinstance(own, dict) and isinstance(value, dict) else value
            else:
                dropped.append(name)
    return msgspec.json.encode(request)  # which takes integers of any length


def _refuse(fields: Any) -> None:
    """Raises InvalidRequest for what would be answered wrongly."""
    if fields.get("n") not in (None, 1):
        raise _unsupported("n", "gives one answer only")
    for name in _NEVER:
        if fields.get(name):
            raise _unsupported(name, f"has no {name}")
    modalities = fields.get("modalities")
    if isinstance(modalities, list) and modalities != ["text"]:
        raise _unsupported("modalities", "answers in text only")


def _most(deployment: Deployment) -> int:
    """What the model can write at most, as far as that is known."""
    able = deployment.abilities
    known = able.context - able.prompt if able.context is not None and able.prompt is not None else 0
    return known if known > 0 else MAX_OUTPUT


def _tools(fields: Any, dropped: list[str]) -> dict[str, Any]:
    written = fields.get("tools")
    made = tools.tools_of(written, dropped=dropped) if isinstance(written, list) else []
    is_parallel = fields.get("parallel_tool_calls") is not False
    choice = tools.tool_choice_of(fields.get("tool_choice"), is_parallel=is_parallel, has_tools=bool(made))
    return ({"tools": made} if made else {}) | ({"tool_choice": choice} if choice is not None else {})


def _thinking(call: Call, request: Any, turns: Turns, deployment: Deployment, dropped: list[str]) -> dict[str, Any]:
    """Thinking in Anthropic's words goes before an effort in OpenAI's; both cannot be had while a tool must be called."""
    thinking, effort = call.fields.get("thinking"), call.fields.get("reasoning_effort")
    name = "thinking" if thinking is not None else "reasoning_effort"
    made: dict[str, Any] | None = {}
    if isinstance(effort, str):
        made = thinking_for(effort, deployment.upstream_model, cap=request["max_tokens"])
    if isinstance(thinking, dict) and "type" in thinking:
        made = (made or {}) | {"thinking": thinking}
    if made is None:
        dropped.append(name)
        return {}
    asked = made.get("thinking")
    is_forced = request.get("tool_choice", {}).get("type") in ("any", "tool")
    is_manual = isinstance(asked, dict) and asked.get("type") == "enabled"
    if is_thinking(asked) and (is_forced or (is_manual and turns.is_in_tool_loop)):
        dropped.append(name)
        del made["thinking"]
    return made


def _sampling(call: Call, request: Any, deployment: Deployment, dropped: list[str]) -> dict[str, Any]:
    """A temperature above 1 is 1, and told."""
    made: dict[str, Any] = {}
    is_free = takes_sampling(deployment.upstream_model)
    for name in ("temperature", "top_p", "top_k"):
        value = call.fields.get(name)
        if value is None:
            continue
        if not is_free or (is_thinking(request.get("thinking")) and not (name == "temperature" and value == 1)):
            dropped.append(name)
        elif name == "temperature" and isinstance(value, int | float) and value > 1:
            made[name] = 1
            dropped.append(name)
        else:
            made[name] = value
    return made


def _beside(fields: Any, dropped: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    stop = fields.get("stop")
    if stop:
        said = stop if isinstance(stop, list) else [stop]
        made["stop_sequences"] = [text for text in said if isinstance(text, str) and text.strip()]
        if len(made["stop_sequences"]) < len(said):
            dropped.append("stop")  # Anthropic refuses those that are nothing but white space
    user, safety = fields.get("user"), fields.get("safety_identifier")
    if user or safety:
        made["metadata"] = {"user_id": user or safety}
        if user and safety and user != safety:
            dropped.append("safety_identifier")
    tier = fields.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        made["service_tier"] = _TIERS[tier]
    elif tier is not None:
        dropped.append("service_tier")
    if fields.get("cache_control"):
        made["cache_control"] = fields["cache_control"]
    return made


def _format(form: Any, dropped: list[str]) -> dict[str, Any] | None:
    """Structured output. There is no mode for JSON of just any shape."""
    if not isinstance(form, dict) or form.get("type") in (None, "text"):
        return None
    written = form.get("json_schema")
    if form["type"] != "json_schema" or not isinstance(written, dict):
        dropped.append("response_format")
        return None
    schema = closed(written["schema"], title=written.get("name"), description=written.get("description"))
    return {"type": "json_schema", "schema": schema}


def _unsupported(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{name}: Anthropic's dialect {why}", code="unsupported_parameter", param=name)
