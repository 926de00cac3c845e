"""Which instance runs which policy version, in Redis. Ages are measured by Redis, whose clock all instances share."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.store.contract import INSTANCE_TTL
from gateway.store.redis.names import VERSIONS
from gateway.store.redis.server import Server

ANNOUNCE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d %s', now, ARGV[2]))
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '^%d+')) + ARGV[3] <= now then redis.call('HDEL', KEYS[1], all[i]) end
end
return 1
"""
VERSION_LIST = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alive = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, version = string.match(all[i + 1], '^(%d+) (.*)$')
  if tonumber(at) + ARGV[1] > now then alive[#alive + 1] = all[i]; alive[#alive + 1] = version end
end
return alive
"""


class RedisVersions:
    """See contract.VersionStore."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def announce(self, instance: str, version: str) -> None:
        await self._server.script(ANNOUNCE, (VERSIONS,), instance, version, int(INSTANCE_TTL * 1000))

    async def versions(self) -> Mapping[str, str]:
        alive = await self._server.script(VERSION_LIST, (VERSIONS,), int(INSTANCE_TTL * 1000))
        return {instance.decode(): version.decode() for instance, version in zip(alive[::2], alive[1::2], strict=True)}
