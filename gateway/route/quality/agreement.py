"""Whether two models answered the same, told from what their answers come to and never from how they got there."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.comparison import number, plain
from gateway.route.quality.answer import Answer, ToolCall
from gateway.route.quality.canonical import NotJson, canonical, json_in, parse

_LAST_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
LAST = "last_number"
"""The part of a text that may be compared alone."""
_TAIL = 2_000
"""Characters at the end of a text in which its last number is looked for."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What is compared. Of JSON, `part` names the member that alone counts ("" for all); of a text it may be `last_number`."""

    on: Literal["json", "tool_call", "text_exact"]
    part: str = ""


def agree(one: Answer, other: Answer, agreement: Agreement) -> bool:
    """Answers that cannot be compared in this way do not agree."""
    if agreement.on == "tool_call":
        return bool(one.tool_calls) and same_calls(one.tool_calls, other.tool_calls)
    if one.tool_calls or other.tool_calls or one.refusal or other.refusal:
        return False
    if agreement.on == "json":
        return _same_json(one.text, other.text, agreement.part)
    if agreement.part == LAST:
        last, other_last = _last_number(one.text), _last_number(other.text)
        return last is not None and last == other_last
    return bool(one.text.strip()) and same_text(one.text, other.text)


def same_text(one: str, other: str) -> bool:
    """But for spaces, the last full stop, and how letters with marks are encoded. Upper and lower case differ."""
    return plain(unicodedata.normalize("NFC", one)) == plain(unicodedata.normalize("NFC", other))


def same_calls(some: tuple[ToolCall, ...], others: tuple[ToolCall, ...]) -> bool:
    """The same names with the same arguments, in any order. Arguments that are no JSON agree with nothing."""
    try:
        return sorted(map(_called, some)) == sorted(map(_called, others))
    except NotJson:
        return False


def _called(call: ToolCall) -> tuple[str, str]:
    return call.name, canonical(parse(call.arguments or "{}"))


def _same_json(one: str, other: str, part: str) -> bool:
    try:
        values = [parse(json_in(text), strict=False) for text in (one, other)]
        if not part:
            return canonical(values[0]) == canonical(values[1])
        if not all(isinstance(value, dict) and part in value for value in values):
            return False
        return _same_value(values[0][part], values[1][part])
    except NotJson:
        return False


def _same_value(one: Any, other: Any) -> bool:
    """Numbers and texts are compared as what they say: models write 3 or "3" as they like."""
    if canonical(one) == canonical(other):
        return True
    texts = [_said(value) for value in (one, other)]
    if "" in texts:
        return False
    first, second = (number(text.removeprefix("$")) for text in texts)
    return same_text(*texts) if first is None or second is None else first == second


def _said(value: Any) -> str:
    """A number or a text, as a text; "" for any other value."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _last_number(text: str) -> float | None:
    found = _LAST_NUMBER.findall(text[-_TAIL:])
    return number(found[-1].rstrip(",")) if found else None
