"""Anthropic's turns as the messages of a chat.

A user's turn may be several messages: the results of tools, each by itself, and the rest. What chat has no word for stays with
its message as it came, in `anthropic_content`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.errors import InvalidRequest
from gateway.ingress.tool_names import flat

Fields = dict[str, Any]
_ORDER = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}
"""Of an answer's blocks, as chat's members are read back into them."""
_PLAIN: Mapping[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "cache_control"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control"}),
}


class Reading:
    """`found` names what is used, in the words of core.call.FEATURES."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def system(self, system: Any) -> list[Fields]:
        """The system prompt as messages: one, or none. Raises InvalidRequest."""
        if system is None or system in ("", []):
            return []
        return [{"role": "system", "content": self._texts(system, "system")}]

    def messages(self, turns: list[Any]) -> list[Fields]:
        """Raises InvalidRequest."""
        told: list[Fields] = []
        for index, turn in enumerate(turns):
            where = f"messages.{index}"
            role = turn.get("role") if isinstance(turn, dict) else None
            content = _content(turn, where) if isinstance(turn, dict) else None
            match role:
                case "user":
                    told += self._user(content, where)
                case "assistant":
                    told.append(self._assistant(content, where))
                case "system":
                    told.append({"role": "system", "content": self._texts(content, f"{where}.content")})
                case _:
                    raise wrong(f"{where}.role", "must be user, assistant or system")
        return told

    def _texts(self, content: Any, where: str) -> str | list[Fields]:
        if isinstance(content, str):
            return content
        return _joined([self._text(block, f"{where}.{place}") for place, block in enumerate(_blocks(content, where))])

    def _text(self, block: Fields, where: str) -> Fields:
        if block["type"] != "text" or not isinstance(block.get("text"), str):
            raise wrong(where, "must be a text block")
        return {"type": "text", "text": block["text"], **_mark(block)}

    def _user(self, content: Any, where: str) -> list[Fields]:
        if isinstance(content, str):
            return [{"role": "user", "content": content}]
        blocks = list(enumerate(_blocks(content, f"{where}.content")))
        results = [self._result(block, f"{where}.content.{n}") for n, block in blocks if block["type"] == "tool_result"]
        rest = [(f"{where}.content.{n}", block) for n, block in blocks if block["type"] != "tool_result"]
        if not rest:
            return results
        return [*results, {"role": "user", **self._said([block for _, block in rest], [place for place, _ in rest])}]

    def _result(self, block: Fields, where: str) -> Fields:
        id, content = block.get("tool_use_id"), block.get("content")
        if not isinstance(id, str) or not id:
            raise wrong(f"{where}.tool_use_id", "must be the id of a tool's use")
        told: Fields = {"role": "tool", "tool_call_id": id}
        if content is None or isinstance(content, str):
            told["content"] = content or ""
        else:
            blocks = _blocks(content, f"{where}.content")
            told |= self._said(blocks, [f"{where}.content.{place}" for place in range(len(blocks))])
        return told | ({"is_error": True} if block.get("is_error") is True else {}) | _mark(block)

    def _said(self, blocks: list[Fields], places: list[str]) -> Fields:
        """`content`, and the blocks as they came where that does not say all."""
        parts: list[Fields] = []
        is_exact = True
        for block, place in zip(blocks, places, strict=True):
            told = self._parts(block, place)
            is_exact = is_exact and told is not None and not isinstance(told, tuple)
            parts += [told] if isinstance(told, dict) else told or ()
        said: Fields = {"content": _joined(parts) if parts else ""}
        return said if is_exact else {**said, "anthropic_content": blocks}

    def _parts(self, block: Fields, where: str) -> Fields | tuple[Fields, ...] | None:
        """The one part that says the same, or some that say about it, or None."""
        match block["type"]:
            case "text":
                return self._text(block, where)
            case "image":
                return self._image(block, where)
            case "document":
                return self._document(block, where)
            case "search_result":
                found = [block.get("title"), block.get("source"), *_texts_in(block.get("content"))]
                return ({"type": "text", "text": "\n".join(text for text in found if isinstance(text, str))},)
            case _:
                return None

    def _image(self, block: Fields, where: str) -> Fields | tuple[Fields, ...]:
        self.found.add("image")
        source = _source(block, where)
        if source.get("type") == "file":
            return ({"type": "file", "file": {"file_id": source.get("file_id")}, **_mark(block)},)
        image: Fields = {"type": "image_url", "image_url": {"url": _url(source, where)}, **_mark(block)}
        return image if block.keys() <= {"type", "source", "cache_control"} else (image,)

    def _document(self, block: Fields, where: str) -> Fields | tuple[Fields, ...]:
        source, title = _source(block, where), block.get("title")
        named = {"filename": title} if isinstance(title, str) and title else {}
        match source.get("type"):
            case "text":
                head = [f"# {title}"] if named else []
                return ({"type": "text", "text": "\n\n".join([*head, str(source.get("data", ""))])},)
            case "content":
                return self._flat(source.get("content"), f"{where}.source.content")
            case "file":
                file = {"file_id": source.get("file_id"), **named}
            case "url":
                file = {"file_url": source.get("url"), **named}
            case _:
                file = {"file_data": _url(source, where), **named}
        self.found.add("file")
        part: Fields = {"type": "file", "file": file, **_mark(block)}
        return part if block.keys() <= {"type", "source", "title", "cache_control"} else (part,)

    def _flat(self, content: Any, where: str) -> tuple[Fields, ...]:
        if isinstance(content, str):
            return ({"type": "text", "text": content},)
        told = [self._parts(block, f"{where}.{place}") for place, block in enumerate(_blocks(content, where))]
        return tuple(part for some in told for part in ([some] if isinstance(some, dict) else some or ()))

    def _assistant(self, content: Any, where: str) -> Fields:
        if isinstance(content, str):
            return {"role": "assistant", "content": content}
        blocks = _blocks(content, f"{where}.content")
        texts = [self._text(block, where) for block in blocks if block["type"] == "text"]
        calls = [
            _tool_call(block, f"{where}.content.{place}")
            for place, block in enumerate(blocks)
            if block["type"] == "tool_use"
        ]
        thoughts = [block for block in blocks if block["type"] in ("thinking", "redacted_thinking")]
        thinking = "".join(text for block in thoughts if isinstance(text := block.get("thinking"), str))
        signed = [block for block in thoughts if block.get("signature") or block.get("data")]
        told: Fields = {"role": "assistant", "content": _joined(texts) if texts else None}
        told |= {"reasoning_content": thinking} if thinking else {}
        told |= {"thinking_blocks": signed} if signed else {}
        told |= {"tool_calls": calls} if calls else {}
        return told if _is_plain(blocks) else {**told, "anthropic_content": [b for b in blocks if not _is_unsigned(b)]}


def wrong(where: str, what: str, code: str = "invalid_value") -> InvalidRequest:
    """As Anthropic words it: the place, and what is wrong there."""
    return InvalidRequest(f"{where}: {what}", code=code, param=where)


def _content(turn: Fields, where: str) -> Any:
    if "content" not in turn:
        raise wrong(f"{where}.content", "Field required", "missing_required_parameter")
    return turn["content"]


def _blocks(content: Any, where: str) -> list[Fields]:
    if not isinstance(content, list):
        raise wrong(where, "must be a text or an array of content blocks", "invalid_type")
    for place, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise wrong(f"{where}.{place}.type", "Field required", "missing_required_parameter")
    return content


def _joined(parts: list[Fields]) -> str | list[Fields]:
    """One text by itself is a text."""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def _tool_call(block: Fields, where: str) -> Fields:
    if not isinstance(block.get("id"), str) or not isinstance(block.get("name"), str):
        raise wrong(where, "must have an id and a name")
    arguments = msgspec.json.encode(block.get("input") or {}).decode()
    function = {"name": flat(block["name"]), "arguments": arguments}
    return {"id": block["id"], "type": "function", "function": function, **_mark(block)}


def _is_plain(blocks: list[Fields]) -> bool:
    """Whether chat's members say it all, the order of the blocks included."""
    places = [_ORDER.get(block["type"], -1) for block in blocks]
    if -1 in places or places != sorted(places):
        return False
    return all(block.keys() <= _PLAIN.get(block["type"], block.keys()) for block in blocks)


def _is_unsigned(block: Fields) -> bool:
    """Whether it is the thinking of somebody who does not sign: Anthropic refuses it."""
    return block["type"] == "thinking" and not block.get("signature")


def _source(block: Fields, where: str) -> Fields:
    source = block.get("source")
    if not isinstance(source, dict):
        raise wrong(f"{where}.source", "Field required", "missing_required_parameter")
    return source


def _url(source: Fields, where: str) -> str:
    url, written = source.get("url"), source.get("data")
    if source.get("type") == "url" and isinstance(url, str):
        return url
    if source.get("type") == "base64" and isinstance(written, str) and isinstance(source.get("media_type"), str):
        return f"data:{source['media_type']};base64,{written}"
    raise wrong(f"{where}.source", "must be base64 with data and media_type, a url, or a file")


def _texts_in(content: Any) -> list[Any]:
    return [block.get("text") for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _mark(block: Fields) -> Fields:
    return {"cache_control": block["cache_control"]} if block.get("cache_control") else {}
