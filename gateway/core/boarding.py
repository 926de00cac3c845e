"""What a store says to a call that looks for its answer: that it is kept, or who gets it from a provider."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Boarded:
    """`value` is the kept answer. Without one, `leader` is the mark of the call that gets it, which is the caller's own if
    nobody else does. Neither: it cannot be told."""

    value: bytes | None = None
    leader: bytes | None = None
