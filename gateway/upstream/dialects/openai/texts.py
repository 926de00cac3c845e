"""Text in content that comes in parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NO_TEXT = frozenset({"type", "id"})


def strings(value: Any) -> Iterator[str]:
    """Every text in a content part, thinking included, but not its type and id."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in _NO_TEXT:
                yield from strings(item)
