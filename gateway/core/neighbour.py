"""What a store keeps so that an answer can be found by the meaning of its question."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Logged:
    """One change to what can be found: `value` describes the entry of that name, or None says that it is gone."""

    name: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Versioned:
    """A value, and how often it was changed."""

    value: bytes
    version: int
