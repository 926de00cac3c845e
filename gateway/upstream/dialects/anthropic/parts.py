"""The parts of a message's content as content blocks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from gateway.core.errors import InvalidRequest

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def text_block(text: str, part: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "text", "text": text, **_mark(part)}


def blocks_of(content: Any, where: str, *, dropped: list[str]) -> list[dict[str, Any]]:
    """Blank texts are left out, for Anthropic refuses them. Raises InvalidRequest for what no block can hold."""
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    return list(_blocks(content if isinstance(content, list) else [], where, dropped))


def _blocks(parts: list[Any], where: str, dropped: list[str]) -> Iterator[dict[str, Any]]:
    for index, part in enumerate(parts):
        place = f"{where}[{index}]"
        match part.get("type") if isinstance(part, dict) else None:
            case "text" | "refusal" as kind:
                if isinstance(text := part.get(kind), str) and text.strip():
                    yield text_block(text, part)
            case "image_url":
                yield _image(part, place, dropped)
            case "file":
                yield _document(part, place)
            case kind:
                raise _unsupported(place, f"a part of the type {kind} cannot be said")


def _image(part: dict[str, Any], place: str, dropped: list[str]) -> dict[str, Any]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        raise _unsupported(f"{place}.image_url", "url must be a text")
    if isinstance(image, dict) and image.get("detail") not in (None, "auto"):
        dropped.append(f"{place}.image_url.detail")
    return {"type": "image", "source": _source(url, f"{place}.image_url"), **_mark(part)}


def _document(part: dict[str, Any], place: str) -> dict[str, Any]:
    file = part.get("file")
    if not isinstance(file, dict):
        raise _unsupported(f"{place}.file", "must be an object")
    source: dict[str, Any]
    if isinstance(file.get("file_data"), str):
        source = _source(file["file_data"], f"{place}.file")
    elif isinstance(file.get("file_url"), str):
        source = {"type": "url", "url": file["file_url"]}
    elif isinstance(file.get("file_id"), str):
        source = {"type": "file", "file_id": file["file_id"]}
    else:
        raise _unsupported(f"{place}.file", "needs file_data, file_url or file_id")
    is_image = source.get("media_type") in _IMAGES
    title = file.get("filename")
    named = {"title": title} if isinstance(title, str) and title and not is_image else {}
    return {"type": "image" if is_image else "document", "source": source, **named, **_mark(part)}


def _source(url: str, place: str) -> dict[str, Any]:
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    head, comma, written = url[5:].partition(",")
    media, *options = head.split(";")
    if not comma or "base64" not in options:
        raise _unsupported(place, "a data URL must be in base64")
    if media.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": _decoded(written, place)}
    return {"type": "base64", "media_type": "image/jpeg" if media == "image/jpg" else media, "data": written}


def _decoded(written: str, place: str) -> str:
    try:
        return base64.b64decode(written, validate=True).decode()
    except (binascii.Error, ValueError):
        raise _unsupported(place, "a text must be UTF-8 in base64") from None


def _mark(part: dict[str, Any] | None) -> dict[str, Any]:
    return {"cache_control": part["cache_control"]} if part is not None and part.get("cache_control") else {}


def _unsupported(place: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{place}: {why} in Anthropic's dialect", code="unsupported_parameter", param=place)
