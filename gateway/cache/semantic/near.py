"""What a search finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Near:
    """A kept entry and how near it is: 1 means the same, 0 nothing in common."""

    id: str
    score: float
