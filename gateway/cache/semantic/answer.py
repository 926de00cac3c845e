"""Whether two kept answers are the same: told only of answers that repeat, as labels, menus and JSON do."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
import orjson

_LONGEST = 64
_BYTES = 16


def fingerprint(document: Mapping[str, Any]) -> bytes | None:
    """For decision.Kept: equal for answers of the same JSON, or of the same few words but for case, spaces and the full stop.
    None for prose, which is never the same twice, and for what is no answer of one choice."""
    choices = document.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return None
    content = (choices[0].get("message") or {}).get("content")
    if not isinstance(content, str) or not content.strip():
        return None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict | list):
        return _digest(msgspec.json.encode(value, order="sorted"))
    words = " ".join(content.casefold().split()).rstrip(".!")
    return _digest(words.encode()) if len(words) <= _LONGEST else None


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=_BYTES).digest()
