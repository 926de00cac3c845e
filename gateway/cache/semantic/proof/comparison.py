"""Whether a kept answer and the real one say the same, as far as can be told without a judge.

Sure: equal texts but for spaces, case and the last full stop; equal JSON; equal numbers. Else the answers are prose, and two good
ones are seldom alike: see `sounds_alike`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import orjson

from gateway.cache.semantic.guard import veto
from gateway.cache.semantic.reading import read

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d{1,9})?$")
_LIKE = 0.8
_MOST_WORDS = 40
_LONGEST = 100_000

MISSED_WITHOUT_JUDGE = 0.1
"""Of wrong answers, the share that `sounds_alike` may take for right ones. Of pairs of sentences that do not say the same, 0 to
5 % sound alike (`python -m bench.cache.answers`); answers to near questions may be nearer to each other
than those, so twice as much is allowed for."""


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
    if _plain(kept) == _plain(real):
        return Alike.YES
    one, other = _json(kept), _json(real)
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        return Alike.YES if _sorted(one) == _sorted(other) else Alike.NO
    number, other_number = _number(kept), _number(real)
    if number is not None or other_number is not None:
        return Alike.YES if number == other_number else Alike.NO
    return Alike.UNCLEAR


def sounds_alike(kept: str, real: str) -> bool:
    """Whether two short texts say the same in nearly the same words: the guard finds nothing that must not differ, and they share
    four fifths of the words that carry meaning.

    It errs towards no: of paraphrases by people, it knows 5 to 26 %. Longer texts than it was measured on are never alike.
    """
    if max(len(kept.split()), len(real.split())) > _MOST_WORDS:
        return False
    one, other = read(kept), read(real)
    every = one.stems | other.stems
    return bool(every) and veto(one, other) is None and len(one.stems & other.stems) >= _LIKE * len(every)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!")


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _sorted(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _number(text: str) -> float | None:
    bare = text.strip().rstrip(".")
    return float(bare.replace(",", "")) if _NUMBER.match(bare) else None
