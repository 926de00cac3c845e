"""What an answer says of itself, for the record."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST = 256


@dataclass(frozen=True, slots=True)
class Said:
    """Its id and model in the provider's words, why each choice ended, and the events of a stream."""

    id: str | None
    model: str | None
    finish_reasons: tuple[str, ...] = ()
    chunks: int = 0


def text_or_none(value: object) -> str | None:
    """The beginning of what a provider wrote where a short text belongs."""
    return value[:_LONGEST] if isinstance(value, str) else None
