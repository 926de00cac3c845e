"""A chat's messages as the items of an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.upstream.dialects.openai.carried import short_id
from gateway.upstream.dialects.responses.native import is_sealed

Item = dict[str, Any]
_LONGEST_ID = 64
_SAID = frozenset({"role", "content", "refusal", "tool_calls", "tool_call_id", "reasoning_items"})
_FILE = ("file_data", "file_id", "file_url", "filename")


class Items:
    """`dropped` names what an input has no word for."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.dropped: list[str] = []
        self._custom: set[str] = set()

    def take(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            self.dropped += [f"{where}.{name}" for name, value in message.items() if name not in _SAID and value]
            match message["role"]:
                case "assistant":
                    self._assistant(message, where)
                case "tool":
                    self._result(message, where)
                case "function":
                    self.dropped.append(where)
                case role:
                    content = self._content(message.get("content"), f"{where}.content", "input_text")
                    self.items.append({"type": "message", "role": role, "content": content})

    def _assistant(self, message: Mapping[str, Any], where: str) -> None:
        is_followed = bool(message.get("content") or message.get("refusal") or message.get("tool_calls"))
        for number, item in enumerate(message.get("reasoning_items") or ()):
            if is_sealed(item) and is_followed:  # alone it is refused
                self.items.append(item)
            else:
                self.dropped.append(f"{where}.reasoning_items[{number}]")
        content = self._content(message.get("content"), f"{where}.content", "output_text")
        parts = [{"type": "output_text", "text": content}] if isinstance(content, str) and content else content or []
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            parts = [*parts, {"type": "refusal", "refusal": refusal}]
        if parts:
            self.items.append({"type": "message", "role": "assistant", "content": parts})
        for number, call in enumerate(message.get("tool_calls") or ()):
            if "extra_content" in call:
                self.dropped.append(f"{where}.tool_calls[{number}].extra_content")
            self.items.append(self._call(call))

    def _call(self, call: Mapping[str, Any]) -> Item:
        id = short_id(str(call.get("id")), longest=_LONGEST_ID)
        if isinstance(custom := call.get("custom"), dict):
            self._custom.add(id)
            return {"type": "custom_tool_call", "call_id": id, "name": custom.get("name"), "input": custom.get("input")}
        function = call.get("function") or {}
        name, arguments = function.get("name"), function.get("arguments")
        return {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}

    def _result(self, message: Mapping[str, Any], where: str) -> None:
        id = short_id(str(message.get("tool_call_id")), longest=_LONGEST_ID)
        output = self._content(message.get("content"), f"{where}.content", "input_text")
        kind = "custom_tool_call_output" if id in self._custom else "function_call_output"
        self.items.append({"type": kind, "call_id": id, "output": output})

    def _content(self, content: Any, where: str, text: str) -> Any:
        if not isinstance(content, list):
            return content or ""
        parts = [self._part(part, f"{where}[{number}]", text) for number, part in enumerate(content)]
        return [part for part in parts if part is not None]

    def _part(self, part: Mapping[str, Any], where: str, text: str) -> Item | None:
        if part.get("cache_control") is not None:
            self.dropped.append(f"{where}.cache_control")
        match part.get("type"):
            case "text":
                return {"type": text, "text": part.get("text")}
            case "refusal":
                return {"type": "refusal", "refusal": part.get("refusal")}
            case "image_url":
                image = part.get("image_url") or {}
                url = image if isinstance(image, str) else image.get("url")
                detail = "auto" if isinstance(image, str) else image.get("detail") or "auto"
                return {"type": "input_image", "image_url": url, "detail": detail}
            case "file":
                file = part.get("file") or {}
                return {"type": "input_file", **{name: file[name] for name in _FILE if file.get(name) is not None}}
            case "input_audio":
                return {"type": "input_audio", "input_audio": part.get("input_audio")}
            case _:
                self.dropped.append(where)
                return None
