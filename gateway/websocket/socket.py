"""A WebSocket over whatever carries its bytes: messages are awaited, and neither side is read faster than the other takes it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Protocol

from gateway.core.peer import LOST, Closed
from gateway.websocket.framing import Framing

_HIGH = 64 * 1024
"""Bytes of messages that wait to be received before nothing more is read."""
_CONTROL = 64 * 1024
"""Bytes of pongs that wait for a side that asks and does not listen."""


class Pipe(Protocol):
    """A connection. Whoever owns it calls `fed` with what comes, and `lost` at its end."""

    @property
    def is_paused(self) -> bool: ...

    def write(self, data: bytes) -> None: ...

    async def drained(self) -> None: ...

    def read_on(self, on: bool, /) -> None:
        """Whether more is to be read."""
        ...

    def close(self) -> None:
        """After what has been written."""
        ...

    def abort(self) -> None: ...


class Socket:
    """Implements core.peer.Peer."""

    def __init__(self, framing: Framing, pipe: Pipe) -> None:
        self._framing = framing
        self._pipe = pipe
        self._loop = asyncio.get_running_loop()
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._unheard = 0
        self._is_paused = self._is_ending = False
        self._waiter: asyncio.Future[None] | None = None
        self._lost = asyncio.Event()
        self._heard_at = self._loop.time()

    # The session's side

    async def receive(self) -> bytes:
        while not self._messages:
            if self._framing.closed is not None:
                raise Closed(*self._framing.closed)
            self._waiter = self._loop.create_future()
            await self._waiter
        message = self._messages.popleft()
        self._size -= len(message)
        if self._is_paused and self._size <= _HIGH and not self._lost.is_set():
            self._is_paused = False
            self._heard_at = self._loop.time()
            self._pipe.read_on(True)
        return message

    async def send(self, message: bytes) -> None:
        self._framing.text(message)
        if not self._framing.is_open:
            raise Closed(*(self._framing.closed or (LOST, "")))
        self._flush()
        self._unheard = 0
        if self._pipe.is_paused:
            await self._pipe.drained()

    def ping(self) -> float:
        self._framing.ping()
        self._flush()
        return 0.0 if self._is_paused else self._loop.time() - self._heard_at

    async def close(self, code: int, reason: str = "", *, wait: float = 0.0) -> None:
        self._is_ending = True
        self._framing.close(code, reason)
        if self._lost.is_set():
            return
        self._flush()
        self._pipe.read_on(True)
        if wait:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._lost.wait()
        self._pipe.close()

    # The connection's side

    def fed(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        messages = self._framing.feed(data)
        if not self._is_ending:  # what comes after our own close is for nobody
            self._messages += messages
            self._size += sum(map(len, messages))
        written = self._flush()
        self._unheard += written if self._pipe.is_paused else 0
        if self._unheard > _CONTROL:
            self._pipe.abort()
        elif self._size > _HIGH and not self._is_paused and self._framing.closed is None:
            self._is_paused = True
            self._pipe.read_on(False)
        self._wake()

    def lost(self) -> None:
        self._framing.end()
        self._lost.set()
        self._wake()

    def _flush(self) -> int:
        data = self._framing.taken()
        if data:
            self._pipe.write(data)
        return len(data)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done() and (self._messages or self._framing.closed is not None):
            waiter.set_result(None)
        elif waiter is not None and not waiter.done():
            self._waiter = waiter
