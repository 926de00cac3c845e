"""The orders to forget answers, in Redis.

A failover may lose the last of them while answers survive, and a cluster may lose the node that holds them all. Either way
the number that a worker has seen is larger than the one that Redis has, and the list begins anew with an order to forget
everything; so it does where there is none, for then nobody knows what is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.clock import Clock
from gateway.core.purge import Purge
from gateway.store import orders
from gateway.store.contract import PURGE_TTL
from gateway.store.contract import PURGES as MOST
from gateway.store.redis.names import CHANGES, CHANNEL, PURGES
from gateway.store.redis.server import Server

BEGIN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local highest, everything, channel = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local function add(number, marks)
  redis.call('HSET', KEYS[1], 'purges', string.format('%.0f', number))
  redis.call('RPUSH', KEYS[2], string.format('%.0f %.0f %s', number, now, marks))
  redis.call('PUBLISH', channel, 'purges')
end
local last = tonumber(redis.call('HGET', KEYS[1], 'purges') or -1)
if last < highest then
  last = math.max(highest + 1, now)
  add(last, everything)
end
"""
LAST = BEGIN + "return string.format('%.0f', last)"
GIVE = (
    BEGIN
    + """
local marks, kept, most = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
last = redis.call('HINCRBY', KEYS[1], 'purges', 1)
add(last, marks)
while true do
  local oldest = redis.call('LINDEX', KEYS[2], 0)
  if tonumber(string.match(oldest, '^%d+ (%d+)')) + kept > now then break end
  redis.call('LPOP', KEYS[2])
end
while redis.call('LLEN', KEYS[2]) > most do
  redis.call('LPOP', KEYS[2])
  local number, at = string.match(redis.call('LPOP', KEYS[2]), '^(%d+) (%d+)')
  redis.call('LPUSH', KEYS[2], number .. ' ' .. at .. ' ' .. everything)
end
return string.format('%.0f', last)
"""
)


class RedisOrders:
    """See contract.CacheStore."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._highest = 0

    async def give(self, purge: Purge) -> int:
        kept = int(PURGE_TTL * 1000)
        return self._heard(await self._run(GIVE, orders.write(purge), kept, MOST))

    async def given(self) -> Sequence[Purge]:
        since = (self._clock.now() - PURGE_TTL) * 1000
        found = []
        for row in await self._server.command("LRANGE", PURGES, 0, -1):
            number, at, marks = row.split(b" ", 2)
            self._heard(int(number))
            if int(at) > since:
                found.append(orders.read(int(number), marks))
        return found

    async def last(self, number: int | None) -> int:
        """`number`: what Redis says it is. Raises Overloaded."""
        if number is None or number < self._highest:
            number = int(await self._run(LAST))
        return self._heard(number)

    async def _run(self, script: str, *more: bytes | int) -> int:
        arguments = (self._highest, orders.EVERYTHING, CHANNEL, *more)
        return int(await self._server.script(script, (CHANGES, PURGES), *arguments))

    def _heard(self, number: int) -> int:
        self._highest = max(self._highest, number)
        return number
