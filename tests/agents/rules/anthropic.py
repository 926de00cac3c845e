"""Anthropic's messages."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from tests.agents.rules.found import Found

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_NAMES = r"[a-zA-Z0-9_-]{1,128}"
_IDS = r"[a-zA-Z0-9_-]+"
_TOP = {
    *("model", "messages", "max_tokens", "system", "stream", "tools", "tool_choice", "stop_sequences", "metadata"),
    *("thinking", "temperature", "top_p", "top_k", "output_config", "service_tier", "context_management"),
    *("cache_control", "container", "mcp_servers"),
}
_BLOCKS: Mapping[str, set[str]] = {
    "text": {"type", "text", "cache_control", "citations"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "title", "context", "citations", "cache_control"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
_BUDGETED = re.compile(r"claude-[a-z]+-4-5")
"""Of the models in these tests those that take a budget of thoughts, and no effort."""
_THOUGHTS = ("thinking", "redacted_thinking")
Block = Mapping[str, Any]


class _Request(Found):
    def __init__(self, body: Mapping[str, Any], thoughts: Collection[tuple[str, str]]) -> None:
        super().__init__()
        self.body = body
        self._thoughts = thoughts
        self._marks = 0

    def judge(self) -> None:
        body = self.body
        self.only(body, _TOP, "request")
        self.check(isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0, "max_tokens", "is required")
        self.check(len((body.get("metadata") or {}).get("user_id") or "") <= 256, "metadata.user_id", "at most 256")
        self._tools()
        system = body.get("system")
        for index, block in enumerate([] if isinstance(system, str) or system is None else system):
            self._block(block, f"system.{index}", ("text",))
        turns = [
            turn for turn in body["messages"] if turn["role"] != "system"
        ]  # which it takes in the midst, by a beta
        if self.check(turns, "messages", "at least one is required"):
            self.check(turns[0]["role"] == "user", "messages.0", "the first must be a user's")
        merged = _merged(turns)
        for index, turn in enumerate(merged):
            self._turn(turn, f"messages.{index}")
        self._pairs(merged)
        self._thinking(merged)
        self.check(self._marks <= 4, "cache_control", f"at most 4 blocks, and there are {self._marks}")

    def _tools(self) -> None:
        tools = self.body.get("tools")
        self.check(tools != [], "tools", "must not be empty")
        names = [tool.get("name") for tool in tools or ()]
        self.unique(names, "tools")
        for index, tool in enumerate(tools or ()):
            self._marks += "cache_control" in tool
            self.matches(_NAMES, tool.get("name"), f"tools.{index}.name")
            if tool.get("type", "custom") == "custom":
                schema = tool.get("input_schema")
                self.check(
                    isinstance(schema, dict) and schema.get("type") == "object", f"tools.{index}", "needs a schema"
                )
        choice = self.body.get("tool_choice")
        self.check(choice is None or tools, "tool_choice", "may only be specified while providing tools")
        if choice and choice["type"] == "tool":
            self.check(choice["name"] in names, "tool_choice", "names no tool")

    def _turn(self, turn: Mapping[str, Any], where: str) -> None:
        self.only(turn, ("role", "content"), where)
        self.check(turn["role"] in ("user", "assistant"), where, "role")
        content = turn["content"]
        if not self.check(content, where, "must have non-empty content"):
            return
        ours = (
            ("text", "image", "document", "tool_result") if turn["role"] == "user" else ("text", "tool_use", *_THOUGHTS)
        )
        for index, block in enumerate(content):
            self._block(block, f"{where}.content.{index}", ours)
        if turn["role"] == "assistant":
            self.check(content[-1]["type"] not in _THOUGHTS, where, "the final block cannot be thinking")

    def _block(self, block: Block, where: str, kinds: Collection[str]) -> None:
        kind = block.get("type")
        if not self.check(kind in kinds, where, f"{kind} may not stand here"):
            return
        self.only(block, _BLOCKS[str(kind)], where)
        self._marks += "cache_control" in block
        match kind:
            case "text":
                self.check(block["text"].strip(), where, "text content blocks must contain non-whitespace text")
            case "image":
                self._image(block["source"], where)
            case "tool_use":
                self.matches(_IDS, block["id"], f"{where}.id")
                self.matches(_NAMES, block["name"], f"{where}.name")
                self.check(isinstance(block["input"], dict), f"{where}.input", "must be an object")
            case "tool_result":
                self.matches(_IDS, block["tool_use_id"], f"{where}.tool_use_id")
                inner = block.get("content")
                for index, each in enumerate([] if isinstance(inner, str) or inner is None else inner):
                    self._block(each, f"{where}.content.{index}", ("text", "image", "document"))
            case "thinking":
                known = (block["thinking"], block.get("signature")) in self._thoughts
                self.check(known, where, f"invalid signature in thinking block: {block}")
            case "redacted_thinking":
                self.check(("", block["data"]) in self._thoughts, where, "invalid data in redacted_thinking block")

    def _image(self, source: Block, where: str) -> None:
        if source["type"] == "base64":
            self.check(source["media_type"] in _IMAGES and source["data"], where, "no image that is known")
        else:
            self.check(source["type"] in ("url", "file"), where, "no source that is known")

    def _pairs(self, turns: list[Mapping[str, Any]]) -> None:
        called: list[str] = []
        for index, turn in enumerate(turns):
            uses = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
            results = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"]
            before = turns[index - 1]["content"] if index else []
            asked = [block["id"] for block in before if block["type"] == "tool_use"]
            if turn["role"] == "user":
                where = f"messages.{index}"
                self.check(
                    set(asked) <= set(results), where, f"tool_use without tool_result immediately after: {asked}"
                )
                self.check(
                    set(results) <= set(asked), where, f"unexpected tool_use_id in tool_result blocks: {results}"
                )
                self.unique(results, where)
                first = [block["type"] for block in turn["content"][: len(results)]]
                self.check(set(first) <= {"tool_result"}, where, "tool_result blocks come first")
            called += uses
        self.unique(called, "tool_use ids")
        self.check(not _uses(turns[-1]), "messages", "a tool_use without its tool_result at the end")

    def _thinking(self, turns: list[Mapping[str, Any]]) -> None:
        body, thinking = self.body, self.body.get("thinking") or {}
        kind = thinking.get("type", "disabled")
        effort = (body.get("output_config") or {}).get("effort")
        self.check(
            not (effort and _BUDGETED.search(body["model"])), "output_config.effort", "not supported by this model"
        )
        if kind == "disabled":
            return
        self.check(body.get("temperature", 1) == 1, "temperature", "may only be set to 1 when thinking is enabled")
        self.check("top_k" not in body, "top_k", "must be unset when thinking is enabled")
        forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
        self.check(not forced, "thinking", "may not be enabled when tool_choice forces tool use")
        if kind != "enabled":
            self.check(not _BUDGETED.search(body["model"]), "thinking.type", f"{kind} is not supported by this model")
            return
        self.check(thinking["budget_tokens"] >= 1024, "thinking.budget_tokens", "at least 1024")
        self.check(body["max_tokens"] > thinking["budget_tokens"], "max_tokens", "must be greater than budget_tokens")
        said = [turn for turn in turns if turn["role"] == "assistant"]
        if said and _uses(said[-1]):
            self.check(
                said[-1]["content"][0]["type"] in _THOUGHTS, "messages", "a final assistant message must start thinking"
            )


def _uses(turn: Mapping[str, Any]) -> list[Any]:
    return [block for block in turn["content"] if block["type"] == "tool_use"]


def _merged(turns: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Consecutive turns of one side are one, as Anthropic reads them; a text is a block."""
    told: list[dict[str, Any]] = []
    for turn in turns:
        content = turn["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        if told and told[-1]["role"] == turn["role"]:
            told[-1]["content"] = [*told[-1]["content"], *blocks]
        else:
            told.append({**turn, "content": blocks})
    return list(told)


def faults(body: Mapping[str, Any], *, thoughts: Collection[tuple[str, str]]) -> list[str]:
    """`thoughts` are texts and signatures of what this provider has thought so far."""
    request = _Request(body, thoughts)
    request.judge()
    return request.faults
