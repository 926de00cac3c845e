"""One record as the file keeps it: what it is found by, and what of it is searched as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.trace.row import Row
from gateway.trace.sink import Line
from gateway.trace.sqlite.schema import COLUMNS

SEPARATOR = "\n"
"""Stands before and after each tag; no header has it, and so no tag."""
LONGEST = 64 * 1024
"""Characters of captured content that are searched."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`key` is the same however often the record comes; `columns` are COLUMNS, tags and text."""

    line: Line
    key: tuple[str, str]
    columns: tuple[object, ...]
    content: str | None


def entry_of(line: Line) -> Entry:
    row = line.row
    key = (str(row.get("id")), str(row.get("span_id")))
    return Entry(line, key, (*[_plain(row.get(name)) for name in COLUMNS], _tags(row), _text(row)), _content(row))


def folded(text: str) -> str:
    """As texts are compared."""
    return text.casefold()


def tag_part(tag: str) -> str:
    return f"{SEPARATOR}{tag}{SEPARATOR}"


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _tags(row: Row) -> str | None:
    tags = _texts(row.get("tags"))
    return SEPARATOR + SEPARATOR.join(tags) + SEPARATOR if tags else None


def _text(row: Row) -> str:
    parts = [row.get("error"), row.get("model"), row.get("user"), *_texts(row.get("tags"))]
    return folded(SEPARATOR.join(part for part in parts if isinstance(part, str)))


def _content(row: Row) -> str | None:
    content = row.get("content")
    if not content:
        return None
    return folded(SEPARATOR.join(_strings(content)))[:LONGEST] or None


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
