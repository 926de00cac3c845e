"""Bedrock's Converse, of a Claude."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tests.agents.rules.found import Found

_TOP = ("messages", "system", "toolConfig", "inferenceConfig", "additionalModelRequestFields", "outputConfig")
_USER = ("text", "image", "document", "toolResult", "cachePoint", "video", "audio")
_ASSISTANT = ("text", "toolUse", "reasoningContent", "cachePoint")
_NAMES = r"[a-zA-Z0-9_-]{1,64}"
_IDS = r"[a-zA-Z0-9_.:-]{1,64}"


class _Request(Found):
    def __init__(self, body: Mapping[str, Any], thoughts: Collection[tuple[str, str]]) -> None:
        super().__init__()
        self.body = body
        self._thoughts = thoughts
        self._marks = 0

    def judge(self) -> None:
        body = self.body
        self.only(body, (*_TOP, "requestMetadata"), "request")
        for index, block in enumerate(body.get("system") or ()):
            self._block(block, f"system.{index}", ("text", "cachePoint"))
        turns = body["messages"]
        self.check(turns and turns[0]["role"] == "user", "messages", "A conversation must start with a user message")
        for index, turn in enumerate(turns):
            where, role = f"messages.{index}", turn["role"]
            self.only(turn, ("role", "content"), where)
            self.check(not index or turns[index - 1]["role"] != role, where, "roles must alternate")
            self.check(turn["content"], where, "The content field is empty")
            for place, block in enumerate(turn["content"]):
                self._block(block, f"{where}.content.{place}", _USER if role == "user" else _ASSISTANT)
            self._pair(turn, turns[index - 1] if index else None, where)
        self.check(not _those(turns[-1], "toolUse"), "messages", "toolUse without toolResult at the end")
        self._tools(any(_those(turn, "toolUse") or _those(turn, "toolResult") for turn in turns))
        self._thinking(turns)
        self.check(self._marks <= 4, "cachePoint", f"at most 4, and there are {self._marks}")

    def _block(self, block: Mapping[str, Any], where: str, kinds: Collection[str]) -> None:
        self.check(len(block) == 1, where, "exactly one member")
        ((kind, value),) = block.items()
        if not self.check(kind in kinds, where, f"{kind} may not stand here"):
            return
        match kind:
            case "text":
                self.check(value.strip(), where, "The text field in the ContentBlock object is blank")
            case "cachePoint":
                self._marks += 1
            case "image":
                self.check(value["format"] in ("png", "jpeg", "gif", "webp"), where, "format")
            case "toolUse":
                self.matches(_IDS, value["toolUseId"], f"{where}.toolUseId")
                self.matches(_NAMES, value["name"], f"{where}.name")
                self.check(isinstance(value["input"], dict), f"{where}.input", "must be a JSON object")
            case "toolResult":
                self.matches(_IDS, value["toolUseId"], f"{where}.toolUseId")
                is_well = value["content"] or value.get("status") != "error"
                self.check(is_well, where, "content cannot be empty when status value is error")
                for index, each in enumerate(value["content"]):
                    self.check(
                        set(each) <= {"text", "image", "json", "document"}, f"{where}.{index}", f"no {set(each)}"
                    )
            case "reasoningContent":
                self._thought(value, where)

    def _thought(self, value: Mapping[str, Any], where: str) -> None:
        if "redactedContent" in value:
            self.check(("", value["redactedContent"]) in self._thoughts, where, "Invalid data in redacted_thinking")
            return
        said = value["reasoningText"]
        self.check((said["text"], said["signature"]) in self._thoughts, where, "Invalid signature in thinking block")

    def _pair(self, turn: Mapping[str, Any], before: Mapping[str, Any] | None, where: str) -> None:
        uses = [each["toolUseId"] for each in _those(before, "toolUse")]
        results = [each["toolUseId"] for each in _those(turn, "toolResult")]
        self.check(set(uses) <= set(results), where, f"Expected toolResult blocks for {uses}")
        self.check(
            len(results) <= len(uses) and set(results) <= set(uses), where, "toolResult blocks exceed toolUse blocks"
        )
        if turn["role"] == "assistant":
            self.check("reasoningContent" not in turn["content"][-1], where, "The final block cannot be thinking")

    def _tools(self, used: bool) -> None:
        config = self.body.get("toolConfig")
        self.check(config or not used, "toolConfig", "must be defined when using toolUse and toolResult content blocks")
        specs = [tool["toolSpec"] for tool in (config or {}).get("tools", ()) if "toolSpec" in tool]
        self.check(config is None or specs, "toolConfig.tools", "at least one")
        self._marks += len([1 for tool in (config or {}).get("tools", ()) if "cachePoint" in tool])
        for index, spec in enumerate(specs):
            self.matches(_NAMES, spec["name"], f"tools.{index}.name")
            self.check(spec.get("description", "x"), f"tools.{index}.description", "at least one character")
            self.check(spec["inputSchema"]["json"].get("type") == "object", f"tools.{index}", "a schema of type object")
        self.unique([spec["name"] for spec in specs], "tools")

    def _thinking(self, turns: list[Mapping[str, Any]]) -> None:
        config = self.body.get("inferenceConfig") or {}
        more = self.body.get("additionalModelRequestFields") or {}
        self.only(more, ("thinking", "top_k", "output_config", "anthropic_beta"), "additionalModelRequestFields")
        thinking = more.get("thinking") or {}
        if thinking.get("type", "disabled") == "disabled":
            return
        self.check(config.get("temperature", 1) == 1, "temperature", "only 1 when thinking is enabled")
        if not self.check(
            thinking["type"] == "enabled", "thinking.type", f"{thinking['type']} is not supported by this model"
        ):
            return
        fits = 1024 <= thinking["budget_tokens"] < config.get("maxTokens", 4096)
        self.check(fits, "thinking.budget_tokens", "at least 1024 and less than maxTokens")
        said = [turn for turn in turns if turn["role"] == "assistant"]
        if said and _those(said[-1], "toolUse"):
            self.check("reasoningContent" in said[-1]["content"][0], "messages", "must start with a thinking block")


def _those(turn: Mapping[str, Any] | None, name: str) -> list[Mapping[str, Any]]:
    return [block[name] for block in turn["content"] if name in block] if turn else []


def faults(body: Mapping[str, Any], *, thoughts: Collection[tuple[str, str]]) -> list[str]:
    """`thoughts` are texts and signatures of what this provider has thought so far."""
    request = _Request(body, thoughts)
    request.judge()
    return request.faults
