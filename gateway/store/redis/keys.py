"""Virtual keys in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from gateway.core.tenant import VirtualKey
from gateway.store.redis.names import CHANGES, CHANNEL, KEY_ORDER, KEYS
from gateway.store.redis.server import Server

PAGE = 500
"""Keys in one answer, so that each keeps within the deadline."""
PUT = """
if ARGV[3] == 'missing' and redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
local change = redis.call('HINCRBY', KEYS[1], 'keys', 1)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], change, ARGV[1])
redis.call('PUBLISH', ARGV[4], 'keys')
return change
"""


class RedisKeys:
    """See contract.KeyStore. What was loaded is remembered, to be put back should Redis lose its data."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loaded: dict[str, VirtualKey] = {}

    async def load(self, *, since: int) -> tuple[int, Sequence[VirtualKey]]:
        change = int(await self._server.command("HGET", CHANGES, "keys") or 0)
        keys: list[VirtualKey] = []
        while page := await self._page(since):
            keys += [key for _, key in page]
            since = page[-1][0]
        self._loaded.update((key.id, key) for key in keys)
        return change, keys

    async def create(self, key: VirtualKey) -> None:
        await self._put(key, when="always")

    async def revoke(self, id: str) -> bool:
        body = await self._server.command("HGET", KEYS, id)
        if body is None:
            return False
        await self._put(replace(_decode(body), revoked=True), when="always")
        return True

    async def restore(self) -> None:
        """Puts back what is missing. Raises Overloaded."""
        for key in list(self._loaded.values()):
            await self._put(key, when="missing")

    async def _put(self, key: VirtualKey, *, when: str) -> None:
        body = msgspec.json.encode(key)
        await self._server.script(PUT, (CHANGES, KEYS, KEY_ORDER), key.id, body, when, CHANNEL)

    async def _page(self, since: int) -> list[tuple[int, VirtualKey]]:
        """The next keys after that change, each with the number of its own."""
        query = ("ZRANGEBYSCORE", KEY_ORDER, f"({since}", "+inf", "WITHSCORES", "LIMIT", 0, PAGE)
        reply = await self._server.command(*query)
        order = reply if not reply or isinstance(reply[0], tuple) else list(zip(reply[::2], reply[1::2], strict=True))
        if not order:
            return []
        bodies = await self._server.command("HMGET", KEYS, *[id for id, _ in order])
        return [
            (int(change), _decode(body)) for (_, change), body in zip(order, bodies, strict=True) if body is not None
        ]


def _decode(body: bytes) -> VirtualKey:
    return msgspec.json.decode(body, type=VirtualKey)
