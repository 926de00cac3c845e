"""The nearest, found by Redis 8's vector sets: one set for each partition, never one set with a filter.

All that belongs to an organisation has its digest as the hash tag, so that one script may touch it, and one order end it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from redis.exceptions import ResponseError

from gateway.store.redis.names import NEAR
from gateway.store.redis.server import Server

MOST = 200_000
"""Vectors in a partition; of more, those that expire first are gone."""

ADD = """
local set, rows, ends, places, parts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, vector, value, expires, most, part = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function drop(other)
  redis.call('VREM', set, other)
  redis.call('HDEL', rows, other)
  redis.call('ZREM', ends, other)
  redis.call('HDEL', places, other)
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 8)) do drop(other) end
local over = redis.call('ZCARD', ends) - most
if over >= 0 then for _, other in ipairs(redis.call('ZRANGE', ends, 0, over)) do drop(other) end end
redis.call('VADD', set, 'FP32', vector, name)
redis.call('HSET', rows, name, value)
redis.call('ZADD', ends, expires, name)
redis.call('HSET', places, name, part)
redis.call('SADD', parts, part)
local last = redis.call('ZREVRANGE', ends, 0, 0, 'WITHSCORES')[2]
for i = 1, 3 do redis.call('PEXPIREAT', KEYS[i], string.format('%.0f', last)) end
for i = 4, 5 do
  local left = redis.call('PTTL', KEYS[i])
  if left < last - now then redis.call('PEXPIREAT', KEYS[i], string.format('%.0f', last)) end
end
return 1
"""
REMOVE = """
redis.call('VREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return redis.call('HDEL', KEYS[4], ARGV[1])
"""


class VectorSets:
    """See contract.NearestStore. For each partition: the set, a hash of the values, and a sorted set of when they end."""

    def __init__(self, server: Server, *, most: int = MOST) -> None:
        self._server = server
        self._most = most

    async def add(self, partition: str, name: str, vector: bytes, value: bytes, *, expires: float) -> None:
        if expires <= time.time():
            return
        org = name.partition(":")[0]
        keys = (*_keys(org, partition), _places(org), _partitions(org))
        await self._server.script(ADD, keys, name, vector, value, int(expires * 1000), self._most, partition)

    async def search(self, partition: str, org: str, vector: bytes, *, most: int) -> Sequence[tuple[str, bytes]]:
        vectors, rows, _ = _keys(org, partition)
        found = await self._server.command("VSIM", vectors, "FP32", vector, "COUNT", most, tolerates=(ResponseError,))
        if isinstance(found, ResponseError) or not found:  # a set of another dimension holds nothing that is near
            return []
        values = await self._server.command("HMGET", rows, *found)
        return [(name.decode(), value) for name, value in zip(found, values, strict=True) if value is not None]

    async def remove(self, names: Collection[str]) -> None:
        for name in names:
            org = name.partition(":")[0]
            partition = await self._server.command("HGET", _places(org), name)
            if partition is not None:
                await self._server.script(REMOVE, (*_keys(org, partition.decode()), _places(org)), name)

    async def remove_org(self, org: str) -> None:
        for partition in await self._server.command("SMEMBERS", _partitions(org)):
            await self._server.command("UNLINK", *_keys(org, partition.decode()))
        await self._server.command("UNLINK", _places(org), _partitions(org))


def _keys(org: str, partition: str) -> tuple[str, str, str]:
    place = f"{NEAR}{{{org}}}:{partition}"
    return f"{place}:vectors", f"{place}:rows", f"{place}:ends"


def _places(org: str) -> str:
    return f"{NEAR}{{{org}}}:places"


def _partitions(org: str) -> str:
    return f"{NEAR}{{{org}}}:partitions"
