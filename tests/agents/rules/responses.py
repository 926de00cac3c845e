"""OpenAI's responses, of a client that keeps nothing there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tests.agents.rules.found import Found

_TOP = {
    *("model", "input", "instructions", "stream", "store", "include", "tools", "tool_choice", "parallel_tool_calls"),
    *("reasoning", "text", "max_output_tokens", "temperature", "top_p", "metadata", "user", "service_tier"),
    *(
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "client_metadata",
        "truncation",
        "top_logprobs",
    ),
}
_ITEMS: Mapping[str, set[str]] = {
    "message": {"type", "id", "role", "content", "status", "phase"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status", "namespace"},
    "function_call_output": {"type", "id", "call_id", "output", "status"},
    "custom_tool_call": {"type", "id", "call_id", "name", "input", "status", "namespace"},
    "custom_tool_call_output": {"type", "id", "call_id", "output", "status"},
    "reasoning": {"type", "id", "summary", "content", "encrypted_content", "status"},
}
_PREFIXES = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}
_TOOLS = ("function", "custom", "namespace", "web_search", "image_generation", "local_shell", "mcp")
_SAID = ("output_text", "refusal")
_GIVEN = ("input_text", "input_image", "input_file")
_NAMES = r"[a-zA-Z0-9_-]{1,128}"


class _Request(Found):
    def __init__(self, seals: Collection[str]) -> None:
        super().__init__()
        self._seals = seals

    def judge(self, body: Mapping[str, Any]) -> None:
        self.only(body, _TOP, "request")
        self.check(body.get("store") is False, "store", "is to be false: nothing is kept there")
        self.check(len(body.get("user") or "") <= 64, "user", "string too long, at most 64")
        tools = body.get("tools") or []
        for index, tool in enumerate(tools):
            where = f"tools[{index}]"
            self.check(tool["type"] in _TOOLS, where, f"Invalid value: {tool['type']}")
            if tool["type"] in ("function", "custom"):
                self.matches(_NAMES, tool["name"], f"{where}.name")
            if tool["type"] == "function":
                self.check((tool["parameters"] or {}).get("type", "object") == "object", where, "schema of type object")
        items = body["input"]
        if isinstance(items, str):
            return
        self.check(items, "input", "must not be empty")
        for index, item in enumerate(items):
            self._item(item, f"input[{index}]")
        self._order(items)

    def _item(self, item: Mapping[str, Any], where: str) -> None:
        kind = item.get("type", "message")
        if not self.check(kind in _ITEMS, where, f"Invalid value: {kind}"):
            return
        self.only(item, _ITEMS[kind], where)
        if (id := item.get("id")) is not None:
            self.check(len(id) <= 64, f"{where}.id", "string too long, at most 64")
            prefix = _PREFIXES.get(kind)
            self.check(
                prefix is None or id.startswith(prefix), f"{where}.id", f"Expected an ID that begins with {prefix}"
            )
        if "call_id" in item:
            self.check(1 <= len(item["call_id"]) <= 64, f"{where}.call_id", f"string too long: {item['call_id']}")
        match kind:
            case "message":
                self._content(item["content"], _SAID if item["role"] == "assistant" else _GIVEN, where)
            case "function_call":
                self.matches(_NAMES, item["name"], f"{where}.name")
                self.check(isinstance(item["arguments"], str), where, "arguments are text")
            case "function_call_output" | "custom_tool_call_output":
                self._content(item["output"], _GIVEN, where)
            case "reasoning":
                known = item.get("encrypted_content") in self._seals
                self.check(known, where, "invalid_encrypted_content: could not be verified")
                self.check(isinstance(item.get("summary"), list), f"{where}.summary", "missing")

    def _content(self, content: Any, kinds: Collection[str], where: str) -> None:
        if isinstance(content, str):
            return
        for index, part in enumerate(content):
            self.check(part["type"] in kinds, f"{where}.content[{index}]", f"Invalid value: {part['type']}")

    def _order(self, items: list[Mapping[str, Any]]) -> None:
        called: list[str] = []
        answered: list[str] = []
        for index, item in enumerate(items):
            kind = item.get("type", "message")
            if kind.endswith("_output"):
                known = item["call_id"] in called
                self.check(known, f"input[{index}]", f"No tool call found for call_id {item['call_id']}")
                answered.append(item["call_id"])
            elif "call_id" in item:
                called.append(item["call_id"])
            if kind == "reasoning":
                following = items[index + 1] if index + 1 < len(items) else {}
                is_ours = following.get("role") == "assistant" or ("call_id" in following and "output" not in following)
                is_ours = is_ours or following.get("type") == "reasoning"
                self.check(is_ours, f"input[{index}]", "reasoning was provided without its required following item")
        self.unique(called, "call_id")
        self.check(set(called) == set(answered), "input", f"No tool output found for {set(called) - set(answered)}")


def faults(body: Mapping[str, Any], *, seals: Collection[str]) -> list[str]:
    """`seals` are what this provider has sealed so far."""
    request = _Request(seals)
    request.judge(body)
    return request.faults
