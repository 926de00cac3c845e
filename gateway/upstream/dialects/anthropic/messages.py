"""The messages of a chat as Anthropic's turns, which alternate between user and assistant, and its `system`.

What the application says before all else is the `system`. What it says in the midst of a conversation stays where it was said, as
text of the user's turn in a tag of its own: not every model takes messages of the role `system`, and moved to the front it would
be said too soon and would change what the provider has cached.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.upstream.dialects.anthropic.parts import blocks_of, text_block
from gateway.upstream.dialects.anthropic.thinking import THOUGHTS
from gateway.upstream.dialects.anthropic.tools import tool_id

_KNOWN = frozenset({"role", "content", "tool_calls", "tool_call_id", "is_error", "cache_control", "refusal"})
_TOLD_OTHERWISE = frozenset(
    {"reasoning_content", "reasoning", "thinking_blocks", "annotations", "audio", "anthropic_content"}
)
_NOTHING_SAID = "."
"""A user's turn before an assistant's that opens the conversation: the first one has to be a user's."""
Block = dict[str, Any]


class Turns:
    """`system` and `messages` of the request; `dropped` gets the paths of what could not be said. `is_theirs`: the client speaks
    Anthropic's dialect itself."""

    def __init__(self, messages: list[dict[str, Any]], *, dropped: list[str], is_theirs: bool = False) -> None:
        """Raises InvalidRequest."""
        self._dropped = dropped
        self._is_theirs = is_theirs
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        for index, message in enumerate(messages):
            self._take(message, index)
        if not self.messages and self.system:
            self.messages = [{"role": "user", "content": self.system}]  # somebody has to say something
            self.system = []
        if self.messages and self.messages[0]["role"] == "assistant":
            self.messages.insert(0, {"role": "user", "content": [text_block(_NOTHING_SAID)]})

    @property
    def is_in_tool_loop(self) -> bool:
        """Whether the last answer called tools and did not think: thinking cannot begin before the next question."""
        last = next((turn for turn in reversed(self.messages) if turn["role"] == "assistant"), None)
        if last is None or self.messages[-1]["role"] != "user":
            return False
        kinds = [block["type"] for block in last["content"]]
        return "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking")

    def _take(self, message: dict[str, Any], index: int) -> None:
        where, role = f"messages[{index}]", message["role"]
        for name, value in message.items():
            if name not in _KNOWN and name not in _TOLD_OTHERWISE and value is not None:
                self._dropped.append(f"{where}.{name}")
        match role:
            case "system" | "developer":
                self._system(message, where)
            case "assistant":
                self._add("assistant", self._assistant(message, where))
            case "tool":
                self._add("user", [self._result(message, where)])
            case _:
                self._add("user", self._blocks(message, where))

    def _system(self, message: dict[str, Any], where: str) -> None:
        blocks = self._blocks(message, where)
        if not self.messages:
            self.system += blocks
            return
        self._add(
            "user", [block | {"text": f"<system>\n{block['text']}\n</system>"} for block in blocks if "text" in block]
        )

    def _blocks(self, message: dict[str, Any], where: str) -> list[Block]:
        if message["role"] != "assistant" and isinstance(as_it_came := message.get("anthropic_content"), list):
            return as_it_came
        blocks = blocks_of(message.get("content"), f"{where}.content", dropped=self._dropped)
        if blocks and message.get("cache_control"):
            blocks[-1] = {**blocks[-1], "cache_control": message["cache_control"]}
        return blocks

    def _assistant(self, message: dict[str, Any], where: str) -> list[Block]:
        as_it_came = message.get("anthropic_content")
        if isinstance(as_it_came, list) and as_it_came:
            return as_it_came
        blocks = [_unnumbered(block) for block in message.get("thinking_blocks") or () if isinstance(block, dict)]
        if not blocks:
            reasoning = [name for name in ("reasoning_content", "reasoning") if message.get(name)]
            self._dropped += [f"{where}.{name}" for name in reasoning]  # what is not signed is refused
        if message.get("audio"):
            self._dropped.append(f"{where}.audio")
        blocks += self._blocks(message, where)
        if not message.get("content") and isinstance(message.get("refusal"), str) and message["refusal"]:
            blocks.append(text_block(message["refusal"]))
        for place, call in enumerate(message.get("tool_calls") or ()):
            blocks.append(self._tool_use(call, f"{where}.tool_calls[{place}]"))
        if blocks and blocks[-1]["type"] in THOUGHTS and not self._is_theirs:
            self._dropped.append(f"{where}.thinking_blocks")  # nothing may end with them
            return []
        return blocks

    def _tool_use(self, call: dict[str, Any], where: str) -> Block:
        function = call.get("function") or call.get("custom") or {}
        self._dropped += [f"{where}.{name}" for name in call if name not in _OF_A_CALL]
        block = {
            "type": "tool_use",
            "id": tool_id(call["id"]),
            "name": function.get("name"),
            "input": _input(function.get("arguments", function.get("input"))),
        }
        return block | ({"cache_control": call["cache_control"]} if call.get("cache_control") else {})

    def _result(self, message: dict[str, Any], where: str) -> Block:
        is_text = isinstance(message.get("content"), str)
        blocks = self._blocks({**message, "cache_control": None}, where)
        block: Block = {"type": "tool_result", "tool_use_id": tool_id(message["tool_call_id"])}
        if blocks:
            block["content"] = blocks[0]["text"] if is_text and "text" in blocks[0] else blocks
        if message.get("is_error") is True:
            block["is_error"] = True
        return block | ({"cache_control": message["cache_control"]} if message.get("cache_control") else {})

    def _add(self, role: str, blocks: list[Block]) -> None:
        """Joins what one side says in several messages. Results of tools come before all else that the user says."""
        if not blocks:
            return
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": blocks})
            return
        content = [*self.messages[-1]["content"], *blocks]
        self.messages[-1]["content"] = sorted(content, key=lambda block: block["type"] != "tool_result")


def _unnumbered(block: Block) -> Block:
    """Chunks number the blocks, and clients send back what they were given."""
    return {name: value for name, value in block.items() if name != "index"} if "index" in block else block


_OF_A_CALL = frozenset({"id", "type", "function", "custom", "index", "cache_control"})


def _input(arguments: Any) -> dict[str, Any]:
    """What is no object cannot be said as one, and is told as a text: the model has written it, and may mend it."""
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"arguments": arguments}
