"""A call of a client who does not speak OpenAI's chat, in the words that every provider of that dialect knows.

What other dialects say beside chat's words is left out, and named. A tool that takes plain text becomes a function with one
text, `input`, for few providers know such tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.upstream.dialects.openai.carried import end_user, keeps_signatures, tool_id

_CALL = frozenset({"thinking", "top_k", "cache_control"})
_MESSAGE = frozenset(
    {"reasoning_content", "thinking_blocks", "reasoning_items", "cache_control", "is_error", "anthropic_content"}
)
_WORDS = {
    "anthropic": frozenset(
        {
            *(
                "model",
                "messages",
                "max_tokens",
                "stream",
                "temperature",
                "top_p",
                "stop",
                "user",
                "tools",
                "tool_choice",
            ),
            *("parallel_tool_calls", "response_format", "reasoning_effort", "service_tier", "llmgw"),
        }
    ),
}
"""What calls of a dialect may say in chat's words, where all else they say is in its own."""
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_OF_A_TOOL = frozenset({"type", "function", "cache_control"})
_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_CAPS = ("max_completion_tokens", "max_tokens")
_SEEN_BELOW = {"type": "text", "text": "(see the next message)"}


class _Plain:
    """`dropped` has paths."""

    def __init__(self, deployment: Deployment) -> None:
        self.dropped: list[str] = []
        self._provider = deployment.provider
        self._keeps_extra = keeps_signatures(deployment)

    def messages(self, messages: list[Any]) -> list[Any]:
        """Pictures that a tool has given follow its result: as a user's, for tools give only text."""
        told: list[Any] = []
        pictures: list[Any] = []
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            plain = {name: self._value(name, value, where) for name, value in message.items() if self._has(name, where)}
            if plain.get("content") is None and not (plain.get("tool_calls") or plain.get("refusal")):
                plain["content"] = ""  # it was thought, and nothing said
            if pictures and message.get("role") != "tool":
                told.append({"role": "user", "content": pictures})
                pictures = []
            if message.get("role") == "tool" and isinstance(plain.get("content"), list):
                pictures += [part for part in plain["content"] if part.get("type") != "text"]
                rest = [part for part in plain["content"] if part.get("type") == "text"]
                plain["content"] = _together(rest or [_SEEN_BELOW])
            told.append(plain)
        return [*told, {"role": "user", "content": pictures}] if pictures else told

    def tools(self, tools: list[Any]) -> list[Any]:
        told = []
        for index, tool in enumerate(tools):
            where = f"tools[{index}]"
            if tool.get("cache_control") is not None:
                self.dropped.append(f"{where}.cache_control")
            match tool.get("type"):
                case "function":
                    function = {name: value for name, value in tool["function"].items() if name in _FUNCTION}
                    self.dropped += [f"{where}.function.{name}" for name in tool["function"] if name not in _FUNCTION]
                    told.append({"type": "function", "function": function})
                    self.dropped += [f"{where}.{name}" for name in tool if name not in _OF_A_TOOL]
                case "custom":
                    custom = tool.get("custom") or {}
                    if (custom.get("format") or {}).get("type", "text") != "text":
                        self.dropped.append(f"{where}.custom.format")
                    said = {name: value for name, value in custom.items() if name in ("name", "description")}
                    told.append({"type": "function", "function": {**said, "parameters": _INPUT}})
                case _:
                    self.dropped.append(where)
        return told

    def _has(self, name: str, where: str) -> bool:
        if name in _MESSAGE:
            self.dropped.append(f"{where}.{name}")
        return name not in _MESSAGE

    def _value(self, name: str, value: Any, where: str) -> Any:
        if name == "tool_calls" and isinstance(value, list):
            return [self._call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(value)]
        if name == "tool_call_id":
            return tool_id(value, self._provider)
        if name == "content" and isinstance(value, list):
            parts = [self._part(part, f"{where}.content[{number}]") for number, part in enumerate(value)]
            return _together([part for part in parts if part is not None])
        return value

    def _call(self, call: Mapping[str, Any], where: str) -> dict[str, Any]:
        told = {**call, "id": tool_id(call["id"], self._provider)}
        if "extra_content" in told and not self._keeps_extra:
            del told["extra_content"]
            self.dropped.append(f"{where}.extra_content")
        if told.get("type") == "custom":
            custom = told.pop("custom")
            arguments = msgspec.json.encode({"input": custom.get("input")}).decode()
            told |= {"type": "function", "function": {"name": custom.get("name"), "arguments": arguments}}
        return told

    def _part(self, part: Mapping[str, Any], where: str) -> dict[str, Any] | None:
        file = part.get("file")
        if part.get("type") == "file" and isinstance(file, dict) and "file_url" in file:
            self.dropped.append(where)
            return None
        if "cache_control" in part:
            self.dropped.append(f"{where}.cache_control")
        return {name: value for name, value in part.items() if name != "cache_control"}


def _together(parts: list[dict[str, Any]]) -> Any:
    """Parts that are nothing but text as one text, which every server of this dialect takes in every message."""
    if any(part.keys() != {"type", "text"} for part in parts):
        return parts
    return "\n\n".join([part["text"] for part in parts])


def plain_body(call: Call, deployment: Deployment, cap: int | None) -> tuple[bytes, tuple[str, ...]]:
    """The request, and what was left out of it. `cap` is the output cap to be written in the place of the client's own."""
    plain = _Plain(deployment)
    words = _WORDS.get(call.dialect, call.fields.keys()) - _CALL
    told = {name: value for name, value in call.fields.items() if name in words and name not in ("llmgw", *_CAPS)}
    plain.dropped += [name for name in call.fields if name not in words]
    told["model"] = deployment.upstream_model
    if isinstance(user := told.get("user"), str):
        told["user"] = end_user(user)
    told["messages"] = plain.messages(call.fields["messages"])
    tools = plain.tools(call.fields.get("tools") or [])
    if tools:
        told["tools"] = tools
        if isinstance(choice := told.get("tool_choice"), dict) and choice.get("type") == "custom":
            told["tool_choice"] = {"type": "function", "function": choice["custom"]}
    else:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            told.pop(name, None)
    most = call.output_cap if cap is None else cap
    if most is not None:
        told[deployment.provider.output_cap] = most
    if not deployment.provider.stream_usage:
        told.pop("stream_options", None)
    elif call.stream:
        told["stream_options"] = {**(told.get("stream_options") or {}), "include_usage": True}
    return msgspec.json.encode(told), tuple(plain.dropped)
