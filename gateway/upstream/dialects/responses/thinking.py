"""Another provider's signed reasoning, carried through clients in the one member that is opaque to them: `encrypted_content`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

MARK = "llmgw.thinking_blocks:"


def sealed(blocks: Sequence[Any]) -> str:
    """The blocks as text."""
    return MARK + base64.b64encode(msgspec.json.encode(list(blocks))).decode()


def unsealed(text: Any) -> list[Any] | None:
    """The blocks that were carried, or None for what is somebody else's."""
    if not isinstance(text, str) or not text.startswith(MARK):
        return None
    try:
        blocks = orjson.loads(base64.b64decode(text[len(MARK) :], validate=True))
    except (binascii.Error, orjson.JSONDecodeError):
        return None
    return blocks if isinstance(blocks, list) and all(isinstance(each, dict) for each in blocks) else None
