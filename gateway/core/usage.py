"""Tokens of one answer, as billed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """`input` includes the cached tokens, `output` includes the reasoning tokens, as OpenAI counts them."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False
