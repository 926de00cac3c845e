"""The items of an input as a chat's messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.ingress.responses.own_tools import OWN_CALLS
from gateway.ingress.responses.parts import content_of, output_of
from gateway.ingress.tool_names import flat
from gateway.upstream.dialects.responses.thinking import unsealed

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
Message = dict[str, Any]


class Messages:
    """Takes items in their order. `dropped` names what a chat has no word for.

    What an assistant thought, said and called in one go is one message there, and each result stands behind its call.
    """

    def __init__(self, instructions: str | None) -> None:
        self.messages: list[Message] = [] if instructions is None else [{"role": "system", "content": instructions}]
        self.dropped: list[str] = []
        self._asked: dict[str, Message] = {}
        self._answered: set[str] = set()

    def take(self, items: Sequence[Any]) -> None:
        """Raises InvalidRequest for what is no item, or a result without its call."""
        for index, item in enumerate(items):
            where = f"input[{index}]"
            if not isinstance(item, dict):
                raise _invalid(where, "must be an object")
            self._item(item, where)

    def end(self) -> None:
        """Raises InvalidRequest for a call without its result."""
        missing = self._asked.keys() - self._answered
        if missing:
            message = f"input has no output for the call {next(iter(missing))[:64]}"
            raise InvalidRequest(message, code="invalid_tool_sequence", param="input")

    def _item(self, item: Mapping[str, Any], where: str) -> None:
        kind = item.get("type", "message" if "role" in item else None)
        match kind:
            case "message":
                self._message(item, where)
            case "function_call" | "custom_tool_call":
                form, member = _CALLS[kind]
                name = flat(_text(item, "name", where), _namespace(item))
                called = {"name": name, member: _text(item, member, where)}
                self._call(item, {"type": form, form: called}, where)
            case "function_call_output" | "custom_tool_call_output":
                self._result(_text(item, "call_id", where), item.get("output"), where)
            case "reasoning":
                self._reasoning(item)
            case "item_reference":
                raise _invalid(where, "refers to an item that is not kept here: send the item itself")
            case str() if kind in OWN_CALLS:
                self._own_call(item, kind, where)
            case str() if kind.removesuffix("_output") in OWN_CALLS:
                id = item.get("call_id") or item.get("id")
                if not isinstance(id, str):
                    raise _invalid(f"{where}.call_id", "must be a string")
                self._result(id, item.get("output"), where)
            case str():
                self.dropped.append(where)
            case _:
                raise _invalid(f"{where}.type", "must name a kind of item")

    def _message(self, item: Mapping[str, Any], where: str) -> None:
        role = _ROLES.get(item["role"]) if isinstance(item.get("role"), str) else None
        if role is None:
            raise _invalid(f"{where}.role", f"must be one of {', '.join(sorted(_ROLES))}")
        content = content_of(item.get("content"), f"{where}.content", self.dropped)
        if item.get("phase") is not None:
            self.dropped.append(f"{where}.phase")
        if role != "assistant":
            self.messages.append({"role": role, "content": content})
            return
        message = self._assistant()
        if message["content"] is None:
            message["content"] = content
        elif "tool_calls" in message:
            message["content"] = _joined(message["content"], content)
        else:
            self.messages.append({"role": "assistant", "content": content})

    def _call(self, item: Mapping[str, Any], call: Message, where: str) -> None:
        id = _text(item, "call_id", where)
        if id in self._asked:
            raise _invalid(f"{where}.call_id", "stands twice")
        message = self._assistant()
        beside = {"extra_content": item["extra_content"]} if "extra_content" in item else {}
        message.setdefault("tool_calls", []).append({"id": id, **call, **beside})
        self._asked[id] = message

    def _own_call(self, item: Mapping[str, Any], kind: str, where: str) -> None:
        tool = OWN_CALLS[kind]
        arguments = item.get(tool.member)
        if not isinstance(arguments, dict):
            raise _invalid(f"{where}.{tool.member}", "must be an object")
        said = {name: value for name, value in arguments.items() if name not in tool.fixed and value is not None}
        function = {"name": tool.name, "arguments": msgspec.json.encode(said).decode()}
        self._call({"call_id": item.get("call_id")}, {"type": "function", "function": function}, where)

    def _result(self, id: str, output: Any, where: str) -> None:
        asking = self._asked.get(id)
        if asking is None or id in self._answered:
            message = f"{where}.call_id answers no call"
            raise InvalidRequest(message, code="invalid_tool_sequence", param=f"{where}.call_id")
        self._answered.add(id)
        result = {"role": "tool", "tool_call_id": id, "content": output_of(output, f"{where}.output", self.dropped)}
        place = next(index for index, each in enumerate(self.messages) if each is asking) + 1
        while place < len(self.messages) and self.messages[place]["role"] == "tool":
            place += 1
        self.messages.insert(place, result)

    def _reasoning(self, item: Mapping[str, Any]) -> None:
        """Kept as it came; what can be read of it also as text, where nobody has sealed it."""
        last = self.messages[-1] if self.messages else {}
        is_under_way = last.get("role") == "assistant" and (last["content"] is None or "tool_calls" in last)
        if not is_under_way:
            self.messages.append({"role": "assistant", "content": None})
        message = self.messages[-1]
        if (blocks := unsealed(item.get("encrypted_content"))) is not None:
            message.setdefault("thinking_blocks", []).extend(blocks)
            return
        kept = {name: value for name, value in item.items() if value is not None and name != "status"}
        message.setdefault("reasoning_items", []).append(kept)
        text = reasoning_text(item)
        if text and "encrypted_content" not in kept:
            message["reasoning_content"] = message.get("reasoning_content", "") + text

    def _assistant(self) -> Message:
        """The message that an assistant's next item belongs to."""
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": None})
        return self.messages[-1]


def reasoning_text(item: Mapping[str, Any]) -> str:
    """What can be read of a reasoning item: what was thought, or else its summary."""
    for name in ("content", "summary"):
        parts = item.get(name)
        texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        if found := "\n\n".join(text for text in texts if isinstance(text, str)):
            return found
    return ""


def _namespace(item: Mapping[str, Any]) -> str | None:
    namespace = item.get("namespace")
    return namespace if isinstance(namespace, str) else None


def _joined(first: Any, second: Any) -> Any:
    """Two contents as one."""
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_as_parts(first), *_as_parts(second)]


def _as_parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _text(item: Mapping[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or (not value and name not in ("arguments", "input")):
        raise _invalid(f"{where}.{name}", "must be a string")
    return value


def _invalid(where: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{where} {what}", code="invalid_value", param=where)
