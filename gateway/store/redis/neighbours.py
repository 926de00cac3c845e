"""The log of what can be found by meaning, as a stream in Redis with one place for each name."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from gateway.core.neighbour import Logged
from gateway.store.contract import NEIGHBOURS as MOST
from gateway.store.contract import REMOVAL_TTL
from gateway.store.redis.names import NEIGHBOUR_ENDS, NEIGHBOUR_PLACES, NEIGHBOURS
from gateway.store.redis.server import Server

DROP = """
local function drop(name)
  local id = redis.call('HGET', KEYS[2], name)
  if id then
    redis.call('XDEL', KEYS[1], id)
    redis.call('HDEL', KEYS[2], name)
    redis.call('ZREM', KEYS[3], name)
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function sweep(most)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, most)) do drop(name) end
end
local function add(name, value, ends)
  drop(name)
  local id = redis.call('XADD', KEYS[1], '*', 'name', name, 'value', value)
  redis.call('HSET', KEYS[2], name, id)
  redis.call('ZADD', KEYS[3], ends, name)
end
local function shorten(most)
  local over = redis.call('XLEN', KEYS[1]) - most
  if over <= 0 then return end
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', over)) do
    redis.call('XDEL', KEYS[1], entry[1])
    if redis.call('HGET', KEYS[2], entry[2][2]) == entry[1] then drop(entry[2][2]) end
  end
end
"""
ADD = (
    DROP
    + """
sweep(16)
add(ARGV[1], ARGV[2], ARGV[3])
shorten(tonumber(ARGV[4]))
return 1
"""
)
REMOVE = (
    DROP
    + """
for i = 3, #ARGV do add(ARGV[i], '', now + ARGV[2]) end
shorten(tonumber(ARGV[1]))
return 1
"""
)
SWEEP = DROP + "sweep(200) return 1"
KEYS = (NEIGHBOURS, NEIGHBOUR_PLACES, NEIGHBOUR_ENDS)
SOME = 100
"""Names in one command."""
PAGE = 1000
"""Names looked through in one command."""


class RedisNeighbours:
    """See contract.NeighbourStore."""

    def __init__(self, server: Server, *, most: int = MOST) -> None:
        self._server = server
        self._most = most

    async def add(self, name: str, value: bytes, *, expires: float) -> None:
        if expires > time.time():
            await self._server.script(ADD, KEYS, name, value, int(expires * 1000), self._most)

    async def remove(self, names: Collection[str]) -> None:
        every = list(names)
        for start in range(0, len(every), SOME):
            some = every[start : start + SOME]
            await self._server.script(REMOVE, KEYS, self._most, int(REMOVAL_TTL * 1000), *some)

    async def remove_org(self, org: str) -> None:
        cursor = b"0"
        while True:
            found: Sequence[bytes] | dict[bytes, bytes]
            reply = await self._server.command("HSCAN", NEIGHBOUR_PLACES, cursor, "MATCH", f"{org}:*", "COUNT", PAGE)
            cursor, found = reply
            await self.remove([name.decode() for name in (found if isinstance(found, dict) else found[::2])])
            if cursor in (0, b"0"):
                return

    async def after(self, place: str, *, limit: int) -> tuple[Sequence[Logged], str]:
        reply = await self._server.command("XRANGE", NEIGHBOURS, f"({place}" if place else "-", "+", "COUNT", limit)
        logged = []
        for id, fields in reply:
            named = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
            logged.append(Logged(named[b"name"].decode(errors="replace"), named.get(b"value") or None))
            place = id.decode()
        return logged, place

    async def sweep(self) -> None:
        await self._server.script(SWEEP, KEYS)
