"""Tokens of an answer, as billed."""

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
    cache_write_1h: int = 0
    """Of those in `cache_write`, the tokens that are kept for an hour."""

    def __add__(self, other: Details) -> Details:
        return Details(
            self.cache_write + other.cache_write,
            self.audio_input + other.audio_input,
            self.audio_output + other.audio_output,
            self.image_input + other.image_input,
            self.image_output + other.image_output,
            self.cache_write_1h + other.cache_write_1h,
        )


NO_DETAILS = Details()


@dataclass(frozen=True, slots=True)
class Usage:
    """`input` includes the cached tokens, `output` includes the reasoning tokens, as OpenAI counts them.

    `units` are what is billed beside tokens: images made, seconds heard, characters spoken, searches of a reranker. `searches`
    are those of the web that the provider made for an answer.
    """

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False
    details: Details = NO_DETAILS
    units: int = 0
    searches: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Of two answers; estimated if either is."""
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
            self.estimated or other.estimated,
            self.details + other.details,
            self.units + other.units,
            self.searches + other.searches,
        )
