"""One record as the file keeps it: what it is found by, and what of it is searched as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.trace.row import Row
from gateway.trace.sink import Line
from gateway.trace.sqlite.histogram import bucket
from gateway.trace.sqlite.schema import COLUMNS

MADE = ("duration_bucket", "first_byte_bucket", "tags", "text")
"""Columns that are made of the record, besides COLUMNS."""
LONGEST = 64 * 1024
"""Characters of captured content that are searched."""
_COLUMNS = frozenset(COLUMNS)
_MEASURED = ("duration_ms", "first_byte_ms")


@dataclass(frozen=True, slots=True)
class Entry:
    """`key` is the same however often the record comes; `columns` are COLUMNS and what is made of the record besides."""

    line: Line
    key: tuple[str, str]
    columns: tuple[object, ...]
    content: str | None


def entry_of(line: Line) -> Entry:
    row = line.row
    key = (str(row.get("id")), str(row.get("span_id")))
    buckets = [None if (ms := measured(row, name)) is None else bucket(ms) for name in _MEASURED]
    return Entry(line, key, (*map(row.get, COLUMNS), *buckets, _tags(row), _text(row)), _content(row))


def folded(text: str) -> str:
    """As texts are compared."""
    return text.casefold()


def tag_part(tag: str) -> str:
    """What stands in the column `tags` of calls that have this one."""
    return orjson.dumps(tag).decode()


def sound(row: Row) -> Row:
    """The same with nothing in it that no column can hold, wherever the record comes from."""
    attempts = row.get("attempts")
    is_sound = isinstance(attempts, list) and all(isinstance(each, dict) for each in attempts)
    return {name: _plain(value) if name in _COLUMNS else value for name, value in row.items()} | {
        "attempts": attempts if is_sound else []
    }


def _plain(value: object) -> object:
    match value:
        case None | float():
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else float(value)
        case str():
            return value.encode("utf-8", "replace").decode()
        case _:
            return str(value)


def measured(row: Row, name: str) -> float | None:
    """The number of this name, if it is one."""
    value = row.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _tags(row: Row) -> str | None:
    tags = _texts(row.get("tags"))
    return orjson.dumps(tags).decode() if tags else None


def _text(row: Row) -> str:
    parts = [row.get("error"), row.get("model"), row.get("user"), *_texts(row.get("tags"))]
    return folded("\n".join(part for part in parts if isinstance(part, str)))


def _content(row: Row) -> str | None:
    content = row.get("content")
    if not content:
        return None
    return folded("\n".join(_strings(content)))[:LONGEST] or None


def _texts(value: Any) -> Sequence[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _strings(value: Any) -> Iterator[str]:
    """Every text in it but the names of members."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
