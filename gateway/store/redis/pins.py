"""Who answered last in conversations, in Redis."""

from __future__ import annotations

from gateway.store.redis.names import PIN
from gateway.store.redis.server import Server


class RedisPins:
    """See contract.PinStore. `server` is the cache's: both may be lost."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def get(self, name: str) -> bytes | None:
        value: bytes | None = await self._server.command("GET", PIN + name)
        return value

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        await self._server.command("SET", PIN + name, value, "PX", int(ttl * 1000))
