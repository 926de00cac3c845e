"""Responses that their clients may go on from, in Redis."""

from __future__ import annotations

from redis.exceptions import ResponseError

from gateway.store.contract import away
from gateway.store.redis.names import RESPONSE
from gateway.store.redis.server import Server


class RedisResponses:
    """See kinds.responses.ResponseStore. `server` is the cache's; how much there is room for is Redis's `maxmemory`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def get(self, name: str) -> bytes | None:
        value: bytes | None = await self._server.command("GET", RESPONSE + name)
        return value

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        words = ("SET", RESPONSE + name, value, "PX", int(ttl * 1000))
        reply = await self._server.command(*words, tolerates=(ResponseError,))
        if isinstance(reply, ResponseError):  # it is full, or takes no writes: what it has can still be read
            raise away()

    async def remove(self, name: str) -> bool:
        return bool(await self._server.command("UNLINK", RESPONSE + name))
