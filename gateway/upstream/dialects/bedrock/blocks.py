"""Chat's parts as Converse's content blocks."""

from __future__ import annotations

import re
from typing import Any

from gateway.core.errors import InvalidRequest
from gateway.upstream.dialects import media
from gateway.upstream.dialects.members import Members

Block = dict[str, Any]

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_VIDEOS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/mpeg": "mpeg",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_AUDIO = {
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/aac": "aac",
    "audio/mp4": "mp4",
    "audio/webm": "webm",
    "audio/pcm": "pcm",
}
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
    "application/msword": "doc",
    _WORD: "docx",
    "application/vnd.ms-excel": "xls",
    _SHEET: "xlsx",
}
_KINDS = {"image": _IMAGES, "video": _VIDEOS, "audio": _AUDIO, "document": _DOCUMENTS}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9()\[\] -]+")
_TTL = {"5m", "1h"}


class Blocks:
    """Makes the blocks of one call. Its documents have names, all different."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: set[str] = set()

    def content(self, message: Members) -> list[Block]:
        """Takes `content`, and `cache_control`, which is a block of its own. Raises InvalidRequest."""
        text = message.text("content")
        made = [{"text": text}] if text is not None and text.strip() else []
        for index, value in enumerate(message.list("content")):
            part = message.item("content", index, value)
            made += [*self._part(part), *cache_point(part)]
            part.close()
        return made + cache_point(message)

    def _part(self, part: Members) -> list[Block]:
        kind = part.text("type")
        match kind:
            case "text" | "refusal":
                text = part.text(kind)
                return [{"text": text}] if text is not None and text.strip() else []
            case "image_url" | "video_url":
                inner = part.within(kind)
                inner.ignore("detail", "auto")
                made = _sourced(kind.removesuffix("_url"), media.located(inner.text("url") or ""), inner.path)
            case "input_audio":
                inner = part.within(kind)
                heard = media.audio(inner.text("data") or "", inner.text("format") or "wav")
                made = _sourced("audio", heard, inner.path)
            case "file":
                inner = part.within(kind)
                made = self._document(inner)
            case _:
                part.lose("type")
                return []
        inner.close()
        return [made]

    def _document(self, file: Members) -> Block:
        name = file.text("filename")
        found = media.located(file.text("file_data") or file.text("file_url") or "", filename=name or "")
        if found is not None and found.type in _IMAGES:
            return _sourced("image", found, file.path)
        made = _sourced("document", found, file.path)
        made["document"]["name"] = self._named((name or "").rpartition(".")[0] or name or "")
        return made

    def _named(self, title: str) -> str:
        """As Bedrock allows it: letters, digits, single spaces, hyphens and brackets."""
        base = " ".join(_NOT_IN_A_NAME.sub(" ", title).split())[:180] or "document"
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base} {count}"
        self._names.add(name)
        return name


def cache_point(marked: Members) -> list[Block]:
    """What `cache_control` says: the prompt so far may be kept."""
    if "cache_control" not in marked:
        return []
    control = marked.within("cache_control")
    kind, ttl = control.text("type"), control.text("ttl")
    control.close()
    if kind != "ephemeral":
        marked.lose("cache_control")
        return []
    return [{"cachePoint": {"type": "default", **({"ttl": ttl} if ttl in _TTL else {})}}]


def _sourced(kind: str, found: media.Inline | media.Elsewhere | None, path: str) -> Block:
    """An image, video, audio or document block. Raises InvalidRequest for what Bedrock could not read."""
    param = path.removesuffix(".")
    if isinstance(found, media.Elsewhere) and not found.url.startswith("s3://"):
        raise InvalidRequest(f"{param} has to be in the call itself: Bedrock fetches nothing", param=param)
    form = None if found is None else _KINDS[kind].get(found.type)
    if found is None or form is None:
        raise InvalidRequest(f"{param} is not {kind} that Bedrock can read", param=param)
    source = {"bytes": found.base64} if isinstance(found, media.Inline) else {"s3Location": {"uri": found.url}}
    return {kind: {"format": form, "source": source}}
