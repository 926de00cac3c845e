"""What a store says of an Idempotency-Key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer the calls of one Idempotency-Key. `name` is the place in the store, `token` the proof."""

    name: str
    token: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Fresh:
    """The key is new: answer the call, then finish or abandon the claim."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Pending:
    """Another call with this key is being answered."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The key was used with another body."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer that this key was given."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
