"""The policies that were in force, in Redis. Each is its version, a space, who brought it, a space, and what was kept."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.store.contract import FILES
from gateway.store.contract import POLICIES as MOST
from gateway.store.redis.names import POLICIES
from gateway.store.redis.server import Server

KEEP = """
local version, who, value, files, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local last, by = string.match(redis.call('LINDEX', KEYS[1], 0) or '', '^(%S+) (%S+) ')
if last == version and (by ~= files or who == files) then return 0 end
if last == version then redis.call('LPOP', KEYS[1]) end
redis.call('LPUSH', KEYS[1], version .. ' ' .. who .. ' ' .. value)
redis.call('LTRIM', KEYS[1], 0, most - 1)
return 1
"""


class RedisPolicies:
    """See contract.PolicyStore. That it survives is for Redis' own persistence to say."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def keep(self, version: str, who: str, value: bytes) -> None:
        await self._server.script(KEEP, (POLICIES,), version, who, value, FILES, MOST)

    async def kept(self) -> Sequence[bytes]:
        rows = await self._server.command("LRANGE", POLICIES, 0, -1)
        return [row.split(b" ", 2)[2] for row in rows]
