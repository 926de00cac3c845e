"""Images, audio and documents as chat's parts hold them: inside a data URL, or elsewhere."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

_AUDIO = {"mp3": "audio/mpeg", "pcm16": "audio/pcm"}


@dataclass(frozen=True, slots=True)
class Inline:
    """`base64` is the content, checked to be base64; `type` a media type such as image/png, or empty."""

    type: str
    base64: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where the content is; `type` is what its name says, or empty."""

    type: str
    url: str


def located(url: str, *, filename: str | None = None) -> Inline | Elsewhere | None:
    """What a URL, a data URL or bare base64 leads to; None for what is none of them."""
    if url[:5].lower() == "data:":
        return _inline(url[5:])
    if "://" in url[:32]:
        return Elsewhere(type_of(urlsplit(url).path if url.isascii() else url), url)
    return Inline(type_of(filename or ""), url) if filename is not None and is_base64(url) else None


def audio(content: str, form: str) -> Inline | None:
    """Audio as `input_audio` has it: base64 and the name of a format."""
    return Inline(_AUDIO.get(form, f"audio/{form}"), content) if is_base64(content) else None


def type_of(name: str) -> str:
    """The media type that a file's name tells, or empty."""
    return mimetypes.guess_type(name.rpartition("/")[2])[0] or ""


def is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _inline(rest: str) -> Inline | None:
    head, comma, content = rest.partition(",")
    kind, *parameters = head.split(";")
    if not comma:
        return None
    if "base64" not in (each.strip().lower() for each in parameters):
        content = base64.b64encode(unquote_to_bytes(content)).decode()
    return Inline(kind.strip().lower(), content) if is_base64(content) else None
