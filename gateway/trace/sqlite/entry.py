"""One record as the file keeps it: what it is found by, and what of it is searched as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.trace.row import Row
from gateway.trace.sink import Line
from gateway.trace.sqlite.histogram import bucket
from gateway.trace.sqlite.schema import COLUMNS, SUMS

MADE = ("duration_bucket", "first_byte_bucket", "tags", "text")
"""Columns that are made of the record, besides COLUMNS."""
LONGEST = 64 * 1024
"""Characters of captured content that are searched."""
_COLUMNS = frozenset(COLUMNS)
_MEASURED = ("duration_ms", "first_byte_ms")
_NUMBERS = frozenset({"at", "status", *_MEASURED, *(name for name in SUMS if name in _COLUMNS)})
_MOST = 2**53
"""Larger numbers are nonsense, and their sums would fit no column."""
_END = 2**53 / 1000
"""UTC seconds after which there is no time that clients of ours can hold."""


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


def foreign(json: bytes) -> Line | None:
    """A record that another process wrote, or another version; None for what is none."""
    try:
        row = orjson.loads(json)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not 0 <= (measured(row, "at") or -1) < _END:
        return None
    kept = sound(row)
    return Line(kept, json if kept == row and b"\n" not in json and b"\r" not in json else orjson.dumps(kept))


def sound(row: Row) -> Row:
    """The same with nothing in it that no column can hold, or that makes no sense there, wherever the record comes from."""
    attempts = row.get("attempts")
    is_sound = isinstance(attempts, list) and all(isinstance(each, dict) for each in attempts)
    columns = {name: _column(name, value) for name, value in row.items() if name in _COLUMNS}
    return {**row, **columns, "span_id": columns.get("span_id") or "", "attempts": attempts if is_sound else []}


def _column(name: str, value: object) -> object:
    if value is None or name == "stream":
        return value if isinstance(value, bool) else None
    if name in _NUMBERS:
        return value if isinstance(value, int | float) and abs(value) < _MOST else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else str(value)


def measured(row: Row, name: str) -> float | None:
    """The number of this name, if it is one."""
    value = row.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _tags(row: Row) -> str | None:
    tags = _texts(row.get("tags"))
    return orjson.dumps(tags).decode() if tags else None


def _text(row: Row) -> str:
    parts = [row.get("error"), row.get("model"), row.get("template"), row.get("user"), *_texts(row.get("tags"))]
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
