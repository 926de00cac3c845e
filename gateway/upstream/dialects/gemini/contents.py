"""Chat's messages as Gemini's contents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.upstream.dialects import media
from gateway.upstream.dialects.members import Members

_UNSIGNED = "skip_thought_signature_validator"
"""What Google's documentation gives for calls that another model has made, and which so have no signature."""

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(slots=True)
class Contents:
    """`signs`: the model refuses calls without a signature. Read `system` and `turns` when every message was added."""

    signs: bool
    system: list[dict[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _asked: list[str] = field(default_factory=list)
    _answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, message: Members) -> None:
        """One message, whose members are taken. Raises InvalidRequest."""
        role = message.text("role")
        if role != "tool":
            self._put_answers()
        match role:
            case "system" | "developer":
                self.system += _parts(message)
            case "assistant":
                self._assistant(message)
            case "tool":
                self._tool(message)
            case "function":
                self._put("user", _response(message.text("name") or "function", message), alone=True)
            case _:
                self._put("user", _parts(message))
        message.close()

    def end(self) -> None:
        """Gemini wants a turn at least: a system prompt alone is one. A greeting of the model's is no beginning for it."""
        self._put_answers()
        if self.turns and self.turns[0]["role"] == "model" and "text" in self.turns[0]["parts"][0]:
            self.turns.insert(0, {"role": "user", "parts": [{"text": "."}]})
        if not self.turns:
            self.turns, self.system = [{"role": "user", "parts": self.system or [{"text": " "}]}], []

    def _assistant(self, message: Members) -> None:
        parts = _parts(message)
        if refusal := message.text("refusal"):
            parts.append({"text": refusal})
        calls = [message.item("tool_calls", index, call) for index, call in enumerate(message.list("tool_calls"))]
        if "function_call" in message:
            parts.append(_call(message.within("function_call"), None))
        made = [self._called(call) for call in calls]
        if self.signs and made and not any("thoughtSignature" in part for part in made):
            made[0]["thoughtSignature"] = _UNSIGNED
        self._put("model", parts + made)

    def _called(self, call: Members) -> dict[str, Any]:
        id = call.text("id") or ""
        call.ignore("type", "function")
        call.any("index")
        extra = call.within("extra_content")
        google = extra.within("google")
        signature = google.text("thought_signature")
        google.close()
        extra.close()
        part = _call(call.within("function"), signature)
        call.close()
        self._names[id] = part["functionCall"]["name"]
        self._asked.append(id)
        return part

    def _tool(self, message: Members) -> None:
        """Kept until all have come: Gemini knows calls and their answers by their order alone."""
        id = message.text("tool_call_id") or ""
        message.any("name")
        self._answers[id] = _response(self._names.get(id, "function"), message)

    def _put_answers(self) -> None:
        order = {id: place for place, id in enumerate(self._asked)}
        for _, parts in sorted(self._answers.items(), key=lambda answer: order.get(answer[0], len(order))):
            self._put("user", parts, alone=True)
        self._answers.clear()
        self._asked.clear()

    def _put(self, role: str, parts: list[dict[str, Any]], *, alone: bool = False) -> None:
        """Turns alternate: what one side says in several messages is one. The answers of tools (`alone`) are a turn."""
        if not parts:
            return
        last = self.turns[-1] if self.turns else None
        is_same = last is not None and last["role"] == role
        if last is not None and is_same and ("functionResponse" in last["parts"][0]) == alone:
            last["parts"] += parts
        else:
            self.turns.append({"role": role, "parts": parts})


def _call(function: Members, signature: str | None) -> dict[str, Any]:
    name, arguments = function.text("name") or "function", function.text("arguments") or ""
    function.close()
    args: Any = _members(arguments)
    if args is None:
        args = {"arguments": arguments} if arguments.strip() else {}
    part: dict[str, Any] = {"functionCall": {"name": name, "args": args}}
    if signature:
        part["thoughtSignature"] = signature
    return part


def _response(name: str, message: Members) -> list[dict[str, Any]]:
    """A tool's result; images in it become parts beside it."""
    parts = _parts(message)
    text = "".join(part["text"] for part in parts if "text" in part)
    result = _members(text)
    response: dict[str, Any] = {"error" if message.flag("is_error") else "output": text if result is None else result}
    told = {"functionResponse": {"name": name, "response": response}}
    return [told, *(part for part in parts if "text" not in part)]


def _members(text: str) -> dict[str, msgspec.Raw] | None:
    """The members of an object, every number as it was written; None for any other text."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return _object(text)
    except msgspec.DecodeError:
        return None


def _parts(message: Members) -> list[dict[str, Any]]:
    text = message.text("content")
    if text is not None:
        return [{"text": text}] if text else []
    parts = []
    for index, value in enumerate(message.list("content")):
        part = message.item("content", index, value)
        made = _part(part)
        if made is not None:
            parts.append(made)
        part.close()
    return parts


def _part(part: Members) -> dict[str, Any] | None:
    """None: an empty text, or a kind of part that nobody knows. Raises InvalidRequest for one that Gemini cannot read."""
    kind = part.text("type")
    match kind:
        case "text" | "refusal":
            text = part.text(kind)
            return {"text": text} if text else None
        case "image_url" | "video_url":
            inner = part.within(kind)
            inner.ignore("detail", "auto")
            found = media.located(inner.text("url") or "")
        case "input_audio":
            inner = part.within(kind)
            found = media.audio(inner.text("data") or "", inner.text("format") or "wav")
        case "file":
            inner = part.within(kind)
            name = inner.text("filename")
            found = media.located(inner.text("file_data") or inner.text("file_url") or "", filename=name or "")
        case _:
            part.lose("type")
            return None
    inner.close()
    if found is None:
        param = inner.path.removesuffix(".")
        raise InvalidRequest(f"{param} holds nothing that Gemini can read", param=param)
    return _located(found)


def _located(found: media.Inline | media.Elsewhere) -> dict[str, Any]:
    if isinstance(found, media.Inline):
        return {"inlineData": {"mimeType": found.type or "application/octet-stream", "data": found.base64}}
    return {"fileData": {"fileUri": found.url, **({"mimeType": found.type} if found.type else {})}}
