"""Connections to providers: dialled once, kept while idle, and swept for deadlines."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque

from gateway.core.deployment import Provider
from gateway.upstream.connection import Connection
from gateway.upstream.dialler import Dialler
from gateway.upstream.wire import Exchange

_IDLE_SECONDS = 30.0
_MAX_IDLE = 512
_CHUNK = 256 * 1024
SWEEP_SECONDS = 0.05

Origin = tuple[str, int, bool, bool]


class Pool:
    """Owned by one worker's event loop. `sweep` runs as a task of the worker; `close` ends every connection."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self.dialler = Dialler(tls)
        self._chunk = memoryview(bytearray(_CHUNK))
        self._idle: dict[Origin, deque[Connection]] = {}
        self._busy: set[Connection] = set()

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def acquire(self, provider: Provider, *, fresh: bool = False) -> Connection:
        """An open connection that is nobody else's. Raises Unavailable when the provider can't be reached."""
        idle = self._idle.get(_origin(provider))
        while idle:
            connection = idle.pop()
            if connection.is_reusable and not fresh:
                self._busy.add(connection)
                return connection
            connection.close()
        connection = await self.dialler.dial(provider, lambda: Connection(self._loop, self._chunk))
        self._busy.add(connection)
        return connection

    def release(self, provider: Provider, exchange: Exchange) -> None:
        """Takes a connection back; one whose exchange has not ended cleanly is closed, which tells the provider to stop."""
        assert isinstance(exchange, Connection)
        connection = exchange
        self._busy.discard(connection)
        connection.deadline = float("inf")
        if not connection.is_reusable:
            connection.close()
            return
        connection.idle_since = self._loop.time()
        idle = self._idle.setdefault(_origin(provider), deque())
        if len(idle) >= _MAX_IDLE:
            idle.popleft().close()
        idle.append(connection)

    @property
    def open_exchanges(self) -> int:
        return len(self._busy)

    async def sweep(self) -> None:
        """Enforces the deadlines of exchanges, and closes what has idled too long. Runs until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self._loop.time()
            for connection in [each for each in self._busy if each.deadline < now]:
                connection.expire()
            for idle in self._idle.values():
                while idle and now - idle[0].idle_since > _IDLE_SECONDS:
                    idle.popleft().close()

    def close(self) -> None:
        for connection in self._busy:
            connection.close()
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()


def _origin(provider: Provider) -> Origin:
    return provider.host, provider.port, provider.tls, provider.allow_private
