"""Whom a session talks with: a client or a provider, message by message."""

from __future__ import annotations

from typing import Protocol

GOING_AWAY = 1001
LOST = 1006
"""The code of a connection that ended without a word; never sent."""
REFUSED = 1008
FAILED = 1011


class Closed(Exception):
    """The other side has ended the conversation, by a WebSocket's close code; 1005: it gave none, 1006: it was lost."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed: {code} {reason}")
        self.code = code
        self.reason = reason


class Peer(Protocol):
    """One end of a session. Messages are texts in UTF-8."""

    async def receive(self) -> bytes:
        """The next message. Raises Closed, once what had come before has been received."""
        ...

    async def send(self, message: bytes) -> None:
        """Waits while the other side is slower than we are. Raises Closed."""
        ...

    def ping(self) -> float:
        """Asks for a sign of life. How many seconds ago the last one came."""
        ...

    async def close(self, code: int, reason: str = "", *, wait: float = 0.0) -> None:
        """Says why, waits at most so many seconds for the other side to take note, and ends the connection."""
        ...
