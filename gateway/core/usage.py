"""Tokens of one answer, as billed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Details:
    """Tokens of the kinds that few calls have, each of them included in the usage's `input` or `output`."""

    cache_write: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0


NO_DETAILS = Details()


@dataclass(frozen=True, slots=True)
class Usage:
    """`input` includes the cached tokens, `output` includes the reasoning tokens, as OpenAI counts them."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False
    details: Details = NO_DETAILS
