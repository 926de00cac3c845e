"""JSON in one form, so that values that mean the same are the same text."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

LONGEST = 1_000_000
"""Characters; longer texts are not read."""

_FENCE = "```"
_OPENS = re.compile(r"^[ \t]*[{\[]", re.MULTILINE)
_LARGEST = 2.0**53


class NotJson(ValueError):
    """The text is no JSON, or too long or too deep to be read."""


def parse(text: str, *, strict: bool = True) -> Any:
    """The value of a JSON text. Raises NotJson, also for NaN, Infinity and the name of a member that comes twice, and where it is
    strict for lines that end within a string, as models like to write them."""
    if len(text) > LONGEST:
        raise NotJson("longer than is read")
    try:
        return json.loads(text, strict=strict, parse_constant=_no_number, object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def json_in(text: str) -> str:
    """The JSON in a text: of its last code block of Markdown, or from the first line that opens an object or a list to the last
    place that closes one. A text in which there is none is returned as it is."""
    _, fence, after = text.rstrip().removesuffix(_FENCE).rpartition(_FENCE)
    if fence and text.rstrip().endswith(_FENCE):
        return after.removeprefix("json").strip()
    opens = _OPENS.search(text)
    closes = max(text.rfind("}"), text.rfind("]"))
    return text[opens.start() : closes + 1].strip() if opens and closes > opens.start() else text


def canonical(value: Any) -> str:
    """Members in order; 1, 1.0 and 1e0 are one number. Raises NotJson for what is too deep."""
    try:
        return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    except RecursionError as error:
        raise NotJson("too deep") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST:
        return int(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJson("a member comes twice")
    return members


def _no_number(name: str) -> NoReturn:
    raise NotJson(f"{name} is no number of JSON")
