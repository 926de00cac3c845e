"""Whether a kept answer and the real one say the same, as far as can be told without a judge.

Sure: equal texts but for spaces, case and the last full stop; equal JSON; equal numbers. Else the answers are prose, of which
two good ones are seldom alike; without a judge they count as different. No count of shared words helps: one that is wrong seldom
enough knows a quarter of the good ones at best (`python -m bench.cache.answers`), and no route can earn anything by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec
import orjson

from gateway.core.comparison import number, plain

_LONGEST = 100_000


class Alike(Enum):
    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"
    """Both are texts, and differ in their words."""


def said(document: bytes) -> str | None:
    """The text of an answer of one choice that says nothing else; None for any other."""
    try:
        whole = orjson.loads(document)
    except orjson.JSONDecodeError:
        return None
    choices = whole.get("choices") if isinstance(whole, Mapping) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        return None
    message: Any = choices[0].get("message") or {"content": choices[0].get("text")}
    if not isinstance(message, Mapping) or any(
        message.get(name) for name in ("tool_calls", "function_call", "refusal")
    ):
        return None
    content = message.get("content")
    return content if isinstance(content, str) and content.strip() else None


def compare(kept: str, real: str) -> Alike:
    """Of two texts of answers."""
    if len(kept) > _LONGEST or len(real) > _LONGEST:
        return Alike.YES if kept == real else Alike.NO
    if plain(kept).casefold() == plain(real).casefold():
        return Alike.YES
    one, other = _json(kept), _json(real)
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        return Alike.YES if _sorted(one) == _sorted(other) else Alike.NO
    first, second = number(kept), number(real)
    if first is not None or second is not None:
        return Alike.YES if first == second else Alike.NO
    return Alike.UNCLEAR


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _sorted(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
