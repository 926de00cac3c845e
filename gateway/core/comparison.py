"""What of two texts does not matter when they are compared."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d{1,9})?$")


def plain(text: str) -> str:
    """Without spaces at its ends, more than one at a time, and its last full stop."""
    return " ".join(text.split()).rstrip(".!")


def number(text: str) -> float | None:
    """Of a text that is a number and nothing else, as people write it; a full stop may follow."""
    bare = text.strip().rstrip(".")
    return float(bare.replace(",", "")) if _NUMBER.match(bare) else None
