"""The body of a Converse request."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.core.call import Call, Operation
from gateway.core.errors import InvalidRequest
from gateway.upstream.dialects.bedrock import reasoning
from gateway.upstream.dialects.bedrock.blocks import Block, cache_point
from gateway.upstream.dialects.bedrock.turns import Turns
from gateway.upstream.dialects.members import Members

_SAME = {"temperature": "temperature", "top_p": "topP"}
_CHOICES: dict[str, dict[str, Any]] = {"required": {"any": {}}, "none": {"none": {}}}
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")
_USUAL = {"n": 1, "logprobs": False, "store": False, "parallel_tool_calls": True, "top_logprobs": 0}
"""What is so anyway."""

_encode = msgspec.json.Encoder().encode


def body(call: Call, model: str, cap: int | None) -> tuple[bytes, tuple[str, ...]]:
    """The JSON and what it lacks. Raises InvalidRequest for what Bedrock cannot do at all."""
    if call.operation is not Operation.CHAT:
        what = "embeddings" if call.operation is Operation.EMBEDDINGS else "completions"
        raise InvalidRequest(f"this model answers chats, not {what}", code="unsupported_operation")
    dropped: list[str] = []
    fields = Members(call.fields, "", dropped)
    for name in ("model", "stream", "stream_options", "llmgw"):
        fields.any(name)
    for name, value in _USUAL.items():
        fields.ignore(name, value)
    fields.ignore("service_tier", "auto", "default")
    turns = Turns(thinks=reasoning.is_claude(model))
    for index, message in enumerate(fields.list("messages")):
        turns.add(fields.item("messages", index, message))
    turns.end()
    told: dict[str, Any] = {"messages": turns.messages}
    if turns.system:
        told["system"] = turns.system
    config = _config(fields, cap)
    tools = _tools(fields, turns)
    if tools:
        told["toolConfig"] = tools
    forced = not {"any", "tool"}.isdisjoint(tools.get("toolChoice", ()))
    more = reasoning.further(fields, model, turns, config, forced=forced)
    told |= {
        name: value for name, value in (("inferenceConfig", config), ("additionalModelRequestFields", more)) if value
    }
    told |= _form(fields) | _metadata(fields)
    fields.close()
    return _encode(told), tuple(dropped)


def _config(fields: Members, cap: int | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    caps = [fields.number(name) for name in ("max_completion_tokens", "max_tokens")]
    own = next((each for each in caps if each is not None), None)
    if cap is not None or own is not None:
        told["maxTokens"] = cap if cap is not None else own
    for name, theirs in _SAME.items():
        if (number := fields.number(name)) is not None:
            told[theirs] = number
    stop = fields.text("stop")
    if stops := [stop] if stop else fields.list("stop"):
        told["stopSequences"] = stops
    return told


def _tools(fields: Members, turns: Turns) -> dict[str, Any]:
    """The toolConfig, or nothing. Calls in the conversation need their tools to be there, even where none may be called."""
    tools: list[Block] = []
    for index, value in enumerate(fields.list("tools")):
        tool = fields.item("tools", index, value)
        tool.ignore("type", "function")
        if "type" in tool:
            tool.lose("type")
        else:
            tools += [_specified(tool.within("function")), *cache_point(tool)]
        tool.close()
    choice = _choice(fields)
    if choice == {"none": {}}:
        choice = None
        if turns.called and tools:
            fields.lose("tool_choice")
        else:
            tools = []
    known = {tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool}
    tools += [_unknown(name) for name in turns.called if name not in known]
    if not tools:
        if choice is not None:
            fields.lose("tool_choice")
        return {}
    return {"tools": tools} if choice is None else {"tools": tools, "toolChoice": choice}


def _choice(fields: Members) -> dict[str, Any] | None:
    word = fields.text("tool_choice")
    if word is not None:
        if word not in ("auto", *_CHOICES):
            fields.lose("tool_choice")
        return _CHOICES.get(word)
    if "tool_choice" not in fields:
        return None
    choice = fields.within("tool_choice")
    choice.ignore("type", "function")
    name = choice.within("function").text("name")
    if name is None:
        fields.lose("tool_choice")
        return None
    choice.close()
    return {"tool": {"name": name}}


def _specified(function: Members) -> Block:
    told: dict[str, Any] = {"name": function.text("name") or "function"}
    if description := function.text("description"):
        told["description"] = description
    schema = function.mapping("parameters")
    told["inputSchema"] = {"json": schema or {"type": "object", "properties": {}}}
    function.ignore("strict", False)
    function.close()
    return {"toolSpec": told}


def _unknown(name: str) -> Block:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}


def _form(fields: Members) -> dict[str, Any]:
    form = fields.within("response_format")
    kind = form.text("type")
    told: dict[str, Any] = {}
    if kind == "json_schema":
        named = form.within("json_schema")
        schema = {"schema": _encode(named.mapping("schema") or {}).decode()}
        for name in ("name", "description"):
            if text := named.text(name):
                schema[name] = text
        named.ignore("strict", True, False)  # Bedrock always holds to it
        named.close()
        structure = {"type": "json_schema", "structure": {"jsonSchema": schema}}
        told = {"outputConfig": {"textFormat": structure}}
    elif kind not in (None, "text"):
        form.lose("type")
    form.close()
    return told


def _metadata(fields: Members) -> dict[str, Any]:
    """Kept with Bedrock's own log of the call, where it is of the characters that this may have."""
    pairs = fields.mapping("metadata")
    if not pairs:
        return {}
    if not all(
        isinstance(v, str) and _METADATA.fullmatch(v) and k and _METADATA.fullmatch(k) for k, v in pairs.items()
    ):
        fields.lose("metadata")
        return {}
    return {"requestMetadata": pairs}
