"""What each provider refuses with a 400, as its documentation and its error messages have it, in rules of its own per dialect.

`faults` names what it would refuse in a request: nothing for one that is well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.agents.rules import anthropic, bedrock, gemini, openai, responses


@dataclass(slots=True)
class Sealed:
    """What a provider has signed or sealed so far: it knows its own again, and nobody else's."""

    thoughts: list[tuple[str, str]] = field(default_factory=list)
    seals: set[str] = field(default_factory=set)
    signatures: set[str] = field(default_factory=set)


RULES: Mapping[str, Callable[[Mapping[str, Any], Sealed], Collection[str]]] = {
    "openai": lambda body, sealed: openai.faults(body),
    "anthropic": lambda body, sealed: anthropic.faults(body, thoughts=sealed.thoughts),
    "responses": lambda body, sealed: responses.faults(body, seals=sealed.seals),
    "gemini": lambda body, sealed: gemini.faults(body, signatures=sealed.signatures),
    "bedrock": lambda body, sealed: bedrock.faults(body, thoughts=sealed.thoughts),
}


def faults(dialect: str, body: Mapping[str, Any], sealed: Sealed | None = None) -> list[str]:
    return list(RULES[dialect](body, sealed or Sealed()))
