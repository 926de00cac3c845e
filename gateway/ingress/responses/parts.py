"""The parts of a message's content, and of a tool's output, as chat has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.errors import InvalidRequest

_TEXTS = frozenset({"input_text", "output_text", "text"})
_FILE = ("file_data", "file_id", "file_url", "filename")


def content_of(content: Any, where: str, dropped: list[str]) -> Any:
    """A text where there is nothing else, or parts. `dropped` gets the names of parts that chat has no word for."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _invalid(where, "must be a string or an array of parts")
    parts = [part for index, each in enumerate(content) if (part := _part(each, f"{where}[{index}]", dropped))]
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def output_of(output: Any, where: str, dropped: list[str]) -> Any:
    """What a tool has given. Other JSON than texts and parts is a text."""
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(
        isinstance(e, dict) and str(e.get("type", "")).startswith("input_") for e in output
    ):
        return content_of(output, where, dropped)
    return msgspec.json.encode(output).decode()


def _part(part: Any, where: str, dropped: list[str]) -> dict[str, Any] | None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise _invalid(where, "must be an object with a type")
    if part.get("prompt_cache_breakpoint") is not None:
        dropped.append(f"{where}.prompt_cache_breakpoint")
    if kind in _TEXTS:
        return {"type": "text", "text": _text(part, "text", where)}
    match kind:
        case "refusal":
            return {"type": "refusal", "refusal": _text(part, "refusal", where)}
        case "input_image" if part.get("image_url") is not None:
            return {"type": "image_url", "image_url": _image(part, where)}
        case "input_image" | "input_file":
            return _file(part, where)
        case "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
        case _:
            dropped.append(where)
            return None


def _image(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    detail = part.get("detail")
    known = {} if detail in (None, "auto") else {"detail": "high" if detail == "original" else detail}
    return {"url": _text(part, "image_url", where), **known}


def _file(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    file = {name: part[name] for name in _FILE if part.get(name) is not None}
    if file.keys() <= {"filename"}:
        raise _invalid(where, "has neither the file nor a reference to it")
    return {"type": "file", "file": file}


def _text(part: Mapping[str, Any], name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise _invalid(f"{where}.{name}", "must be a string")
    return value


def _invalid(where: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{where} {what}", code="invalid_value", param=where)
