"""Chat's messages as Converse's: turns that alternate, tool results in the user's."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.upstream.dialects.bedrock.blocks import Block, Blocks, cache_point
from gateway.upstream.dialects.members import Members

_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(slots=True)
class Turns:
    """`thinks`: the model reads thinking blocks. Read the rest when every message was added.

    `called` are the names of the tools that were called, and `unexplained` says that the last of these calls lacks the signed
    thinking before it, which a model that is to think would miss.
    """

    thinks: bool
    system: list[Block] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    called: dict[str, None] = field(default_factory=dict)
    unexplained: bool = False
    _blocks: Blocks = field(default_factory=Blocks)

    def add(self, message: Members) -> None:
        """One message, whose members are taken. Raises InvalidRequest."""
        match message.text("role"):
            case "system" | "developer":
                self.system += self._blocks.content(message)
            case "assistant":
                self._assistant(message)
            case "tool" | "function":
                self._tool(message)
            case _:
                self._put("user", self._blocks.content(message))
        message.close()

    def end(self) -> None:
        """Bedrock wants a turn at least, of which the first is the user's: a system prompt alone is one."""
        if self.messages and self.messages[0]["role"] == "assistant":
            self.messages.insert(0, {"role": "user", "content": [{"text": "."}]})
        if not self.messages:
            self.messages, self.system = [{"role": "user", "content": self.system or [{"text": "."}]}], []

    def _assistant(self, message: Members) -> None:
        thinking = self._thinking(message)
        calls = []
        for index, value in enumerate(message.list("tool_calls")):
            call = message.item("tool_calls", index, value)
            calls += [self._call(call), *cache_point(call)]
            call.close()
        said = self._blocks.content(message)
        if (refusal := message.text("refusal")) and refusal.strip():
            said.append({"text": refusal})
        if calls:
            self.unexplained = not thinking
        if thinking and not (said or calls):
            message.lose("thinking_blocks")  # nothing may end with them
            return
        self._put("assistant", [*thinking, *(block for block in said if "cachePoint" not in block), *calls])
        self._put("assistant", [block for block in said if "cachePoint" in block])

    def _thinking(self, message: Members) -> list[Block]:
        if not self.thinks:
            return []
        made: list[Block] = []
        for index, value in enumerate(message.list("thinking_blocks")):
            block = message.item("thinking_blocks", index, value)
            kind, text, signature = block.text("type"), block.text("thinking"), block.text("signature")
            hidden = block.text("data")
            block.any("index")
            if kind == "thinking" and signature:
                made.append({"reasoningContent": {"reasoningText": {"text": text or "", "signature": signature}}})
            elif kind == "redacted_thinking" and hidden:
                made.append({"reasoningContent": {"redactedContent": hidden}})
            else:
                message.lose(f"thinking_blocks[{index}]")
            block.close()
        if made:
            message.any("reasoning_content")  # the same, as text
        return made

    def _call(self, call: Members) -> Block:
        id = call.text("id") or ""
        call.ignore("type", "function")
        call.any("index")
        function = call.within("function")
        name, arguments = function.text("name") or "function", function.text("arguments") or ""
        function.close()
        self.called[name] = None
        return {"toolUse": {"toolUseId": _fitting(id), "name": name, "input": _members(arguments)}}

    def _tool(self, message: Members) -> None:
        id = message.text("tool_call_id") or message.text("name") or ""
        message.any("name")
        content = self._blocks.content(message)
        result: Block = {
            "toolUseId": _fitting(id),
            "content": [block for block in content if "cachePoint" not in block],
        }
        if message.flag("is_error"):
            result["status"] = "error"
            result["content"] = result["content"] or [{"text": "."}]  # an error has to say something
        self._put("user", [{"toolResult": result}, *(block for block in content if "cachePoint" in block)])

    def _put(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})


def _fitting(id: str) -> str:
    """The id of a call as Bedrock allows it; one that another provider has made may have to be replaced."""
    return id if _ID.fullmatch(id) else f"call_{hashlib.sha256(id.encode('utf-8', 'replace')).hexdigest()[:24]}"


def _members(arguments: str) -> Any:
    """The arguments as an object, every number as it was written."""
    if not arguments.strip():
        return {}
    try:
        return _object(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {"arguments": arguments}
