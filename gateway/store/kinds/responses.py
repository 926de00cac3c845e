"""Responses that their clients may fetch again, or go on from."""

from __future__ import annotations

from typing import Protocol


class ResponseStore(Protocol):
    """Each under a name of its own. Where there is no room, the oldest give way, or nothing more is taken."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        """For `ttl` seconds. Raises Overloaded also where there is no room."""
        ...

    async def remove(self, name: str) -> bool:
        """Whether there was one."""
        ...
