"""What routes have earned, in Redis. A value is its version, a space, and what was kept."""

from __future__ import annotations

from gateway.core.neighbour import Versioned
from gateway.store.contract import EARNED_TTL
from gateway.store.redis.names import EARNED
from gateway.store.redis.server import Server

PUT = """
local held = redis.call('GET', KEYS[1])
local version = held and string.match(held, '^%d+') or '0'
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], string.format('%d ', ARGV[1] + 1) .. ARGV[2], 'PX', ARGV[3])
return 1
"""


class RedisEarned:
    """See contract.EarnedStore."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def get(self, name: str) -> Versioned | None:
        held = await self._server.command("GET", EARNED + name)
        version, separator, value = (held or b"").partition(b" ")
        return Versioned(value, int(version)) if separator and version.isdigit() else None

    async def put(self, name: str, value: bytes, *, version: int) -> bool:
        reply = await self._server.script(PUT, (EARNED + name,), version, value, int(EARNED_TTL * 1000))
        return bool(reply)
