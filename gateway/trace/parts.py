"""What a record keeps of the stages of a call, as far as it is told from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.attempt import Attempt
from gateway.core.deployment import Deployment, Model


class Held(Protocol):
    """What the call holds of budgets; `reserved_usd` in nano-USD, None where no budget in money applied."""

    @property
    def is_stopped(self) -> bool: ...

    @property
    def reserved_usd(self) -> int | None: ...

    @property
    def asked(self) -> Sequence[tuple[float, float, str]]:
        """Each time that the ledger was asked: from when till when, in monotonic seconds, and what came of it."""
        ...

    @property
    def refused_by(self) -> Mapping[str, object] | None:
        """The budget or rate that said no."""
        ...


class Claim(Protocol):
    """What the cache had for the call: see cache.replay.Unclaimed."""

    @property
    def result(self) -> str:
        """hit, semantic-hit, miss or bypass."""
        ...

    @property
    def kind(self) -> str | None: ...

    @property
    def reason(self) -> str | None: ...

    @property
    def similarity(self) -> float | None: ...

    @property
    def entry(self) -> str | None: ...

    @property
    def answer(self) -> str | None: ...

    @property
    def saved(self) -> tuple[int, float] | None: ...


class Decision(Protocol):
    """`route` is None when the client named the model and no rule changed that; `reason` is why it was chosen; `told` is what
    else it rests on, as plain values."""

    @property
    def route(self) -> str | None: ...

    @property
    def reason(self) -> str: ...

    @property
    def conversation(self) -> str | None: ...

    @property
    def sent(self) -> int | None: ...

    @property
    def model(self) -> Model: ...

    def told(self) -> Mapping[str, object]: ...


class Said(Protocol):
    """What an answer says of itself."""

    @property
    def id(self) -> str | None: ...

    @property
    def model(self) -> str | None: ...

    @property
    def finish_reasons(self) -> Sequence[str]: ...

    @property
    def chunks(self) -> int: ...


class Served(Protocol):
    """The answer a call got: from a deployment, or kept from before (then the deployment has no name)."""

    @property
    def deployment(self) -> Deployment: ...

    @property
    def attempt(self) -> Attempt | None:
        """The one that was answered, if a deployment answered."""
        ...

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...

    @property
    def said(self) -> Said | None: ...

    def produced(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class HungUp:
    """How a session ended: `by` is client, provider or gateway."""

    by: str
    code: int
    responses: int
