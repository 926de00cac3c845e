"""OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.agents.rules.found import Found

_TOP = {
    *("model", "messages", "max_tokens", "max_completion_tokens", "stream", "stream_options", "tools", "tool_choice"),
    *(
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "temperature",
        "top_p",
        "stop",
        "user",
        "n",
        "seed",
    ),
    *("metadata", "store", "service_tier", "verbosity", "logprobs", "top_logprobs", "prompt_cache_key", "modalities"),
    *("prompt_cache_retention", "safety_identifier", "frequency_penalty", "presence_penalty", "logit_bias"),
}
_NAMES = r"[a-zA-Z0-9_-]{1,64}"

_MEMBERS: Mapping[str, set[str]] = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "tool_calls", "audio", "function_call", "reasoning_content"},
    "tool": {"role", "content", "tool_call_id"},
}
"""OpenAI itself gives no `reasoning_content`; servers of its dialect do, and want it back."""
_PARTS: Mapping[str, tuple[str, ...]] = {
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
}


class _Request(Found):
    def judge(self, body: Mapping[str, Any]) -> None:
        self.only(body, _TOP, "request")
        self.check(not {"max_tokens", "max_completion_tokens"} <= body.keys(), "max_tokens", "not both caps at once")
        self.check(len(body.get("user") or "") <= 64, "user", "string too long, at most 64")
        self.check("stream_options" not in body or body.get("stream"), "stream_options", "only with stream")
        stop = body.get("stop")
        self.check(not isinstance(stop, list) or 1 <= len(stop) <= 4, "stop", "1 to 4 texts")
        self._tools(body)
        self._messages(body["messages"])

    def _tools(self, body: Mapping[str, Any]) -> None:
        tools = body.get("tools")
        for name in ("tool_choice", "parallel_tool_calls"):
            self.check(name not in body or tools, name, "only allowed when tools are specified")
        self.check(tools is None or 1 <= len(tools) <= 128, "tools", "1 to 128")
        for index, tool in enumerate(tools or ()):
            where = f"tools[{index}]"
            self.only(tool, ("type", tool["type"]), where)
            if not self.check(tool["type"] in ("function", "custom"), where, f"no type {tool['type']}"):
                continue
            named = tool[tool["type"]]
            self.only(named, ("name", "description", "parameters", "strict", "format"), where)
            self.matches(_NAMES, named["name"], f"{where}.name")
            schema = named.get("parameters")
            self.check(schema is None or schema.get("type") == "object", where, "a schema of type object")
        self.unique([tool[tool["type"]]["name"] for tool in tools or () if tool["type"] in tool], "tools")

    def _messages(self, messages: list[Mapping[str, Any]]) -> None:
        waiting: list[str] = []
        for index, message in enumerate(messages):
            where, role = f"messages[{index}]", message["role"]
            if not self.check(role in _MEMBERS, where, f"no role {role}"):
                continue
            self.only(message, _MEMBERS[role], where)
            self._content(message, where)
            if role == "tool":
                known = message["tool_call_id"] in waiting
                if self.check(known, where, "'tool' must be a response to a preceding message with 'tool_calls'"):
                    waiting.remove(message["tool_call_id"])
            else:
                self.check(not waiting, where, f"tool_call_ids did not have response messages: {waiting}")
                waiting = [self._call(call, f"{where}.tool_calls[{n}]") for n, call in enumerate(_calls(message))]
                self.check(message.get("tool_calls") != [], where, "empty tool_calls")
        self.check(not waiting, "messages", f"tool_call_ids did not have response messages: {waiting}")

    def _call(self, call: Mapping[str, Any], where: str) -> str:
        self.only(call, ("id", "type", call["type"]), where)
        self.check(len(call["id"]) <= 40, f"{where}.id", f"string too long, at most 40: {call['id']}")
        named = call[call["type"]]
        self.only(named, ("name", "arguments", "input"), where)
        self.matches(_NAMES, named["name"], f"{where}.name")
        self.check(isinstance(named.get("arguments", named.get("input")), str), where, "arguments are text")
        return str(call["id"])

    def _content(self, message: Mapping[str, Any], where: str) -> None:
        content, role = message.get("content"), message["role"]
        if content is None:
            is_said = role == "assistant" and (message.get("tool_calls") or message.get("refusal"))
            self.check(is_said, where, "expected a string, got null")
        elif isinstance(content, list):
            self.check(content, where, "empty array")
            for index, part in enumerate(content):
                kind = part["type"]
                self.check(kind in _PARTS.get(role, ("text",)), f"{where}.content[{index}]", f"no {kind} in {role}")
                self.only(part, ("type", kind), f"{where}.content[{index}]")
                self.check(kind != "text" or part["text"], f"{where}.content[{index}]", "empty text")
        else:
            self.check(isinstance(content, str), where, "content")


def _calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return message.get("tool_calls") or []


def faults(body: Mapping[str, Any]) -> list[str]:
    request = _Request()
    request.judge(body)
    return request.faults
