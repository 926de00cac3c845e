"""Who answered last in conversations."""

from __future__ import annotations

from typing import Protocol


class PinStore(Protocol):
    """Who answered last in a conversation, each under a name of its own. It may forget any of them at any time."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        """For `ttl` seconds."""
        ...
