"""How an attempt talks to a provider: over a pooled connection, or to the built-in demo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.core.deployment import Provider


class Head(Protocol):
    """Status and headers of a response; the names are lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...


class Exchange(Protocol):
    """One request and its response. Past `deadline` (the loop's seconds) it fails with a Timeout that names `phase`.

    `is_whole`, said before the request: nothing is done with the response's body before all of it is there.
    """

    deadline: float
    phase: str
    is_whole: bool

    def send(self, request: bytes) -> None: ...

    async def head(self) -> Head:
        """Raises UpstreamError."""
        ...

    async def read(self) -> bytes:
        """The next piece of the body, b"" at its end. Raises UpstreamError."""
        ...

    def arrived(self) -> bytes:
        """What has come of the body and has not been read."""
        ...

    @property
    def is_stale(self) -> bool:
        """Whether it failed only because the kept connection had been closed before this request."""
        ...


class Wire(Protocol):
    """Hands out exchanges and takes them back; one given back before its end is cut."""

    async def prepare(self) -> None:
        """To be awaited before a request is written."""
        ...

    async def acquire(self, provider: Provider, *, fresh: bool = False) -> Exchange: ...

    def release(self, provider: Provider, exchange: Exchange) -> None: ...
