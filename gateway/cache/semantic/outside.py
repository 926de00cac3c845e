"""What the semantic cache needs of others: the store, and the models of the policy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from gateway.core.neighbour import Logged, Versioned


class Log(Protocol):
    """See gateway.store.contract.NeighbourStore."""

    async def add(self, name: str, value: bytes, *, expires: float) -> None: ...
    async def remove(self, names: Collection[str]) -> None: ...
    async def remove_org(self, org: str) -> None: ...
    async def after(self, place: str, *, limit: int) -> tuple[Sequence[Logged], str]: ...
    async def sweep(self) -> None: ...


class Nearest(Protocol):
    """See gateway.store.contract.NearestStore."""

    async def add(self, partition: str, name: str, vector: bytes, value: bytes, *, expires: float) -> None: ...
    async def search(self, partition: str, org: str, vector: bytes, *, most: int) -> Sequence[tuple[str, bytes]]: ...
    async def remove(self, names: Collection[str]) -> None: ...
    async def remove_org(self, org: str) -> None: ...


class States(Protocol):
    """See gateway.store.contract.EarnedStore."""

    async def get(self, name: str) -> Versioned | None: ...
    async def put(self, name: str, value: bytes, *, version: int) -> bool: ...


class Shares(Protocol):
    """See gateway.store.contract.MeaningStore."""

    @property
    def neighbours(self) -> Log: ...
    @property
    def earned(self) -> States: ...
    async def nearest(self) -> Nearest | None: ...


class Embeds(Protocol):
    """Asks a model of the policy for the vector of one text."""

    async def embed(self, model: str, text: str) -> Sequence[float]:
        """`model` is `PROVIDER/MODEL`. Raises GatewayError for whatever goes wrong. May be cancelled."""
        ...


class Judges(Protocol):
    """Asks a model of the policy a question."""

    async def ask(self, model: str, prompt: str) -> str:
        """The text of its reply. Raises GatewayError for whatever goes wrong."""
        ...
