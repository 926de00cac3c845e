"""Kept answers in Redis, over connections of their own: what is slow, full or refused here keeps no budget waiting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from typing import TypeVar

from redis.asyncio.cluster import ClusterNode
from redis.exceptions import ResponseError

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.purge import Purge
from gateway.store.contract import PURGE_TTL, CacheSize, away
from gateway.store.redis.names import CACHE
from gateway.store.redis.orders import RedisOrders
from gateway.store.redis.server import Server

TOGETHER = 16
"""Answers asked for at the same time, so that large ones keep within the deadline."""
SAMPLE = 1000
"""Names that are looked at to tell how many answers there are."""
WEIGHED = 64
"""Answers that are weighed to tell how large they are."""
ROW = 120
"""Bytes that Redis takes for an answer besides its own, about."""
T = TypeVar("T")


class RedisCache:
    """See contract.CacheStore."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._orders = RedisOrders(server, clock)
        self._refused = 0

    async def get(self, name: str) -> bytes | None:
        value: bytes | None = await self._server.command("GET", _key(name))
        return value

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        if not ttl > 0:
            return
        milliseconds = max(1, int(min(ttl, PURGE_TTL) * 1000))
        words = ("SET", _key(name), value, "PX", milliseconds)
        reply = await self._server.command(*words, tolerates=(ResponseError,))
        if isinstance(reply, ResponseError):  # it is full, or takes no writes: what it has can still be read
            self._refused += 1
            raise away()

    async def remove(self, names: Collection[str]) -> int:
        removed = 0
        for some in _batches(list(names)):
            removed += sum(await asyncio.gather(*(self._server.command("UNLINK", _key(name)) for name in some)))
        return removed

    async def page(
        self, *, org: str = "", after: str = "", limit: int = 100
    ) -> tuple[Sequence[tuple[str, bytes]], str]:
        nodes = await self._server.primaries()
        place, _, cursor = after.rpartition(" ")
        left = sorted(name for name in nodes if name >= place)
        if not left:
            return [], ""
        cursor = cursor if left[0] == place and _is_cursor(cursor) else "0"
        next_cursor, keys = await self._scan(nodes[left[0]], cursor, org, limit)
        found: list[tuple[str, bytes]] = []
        for some in _batches(keys):
            values = await asyncio.gather(*(self._server.command("GET", key) for key in some))
            found += [(_name(key), value) for key, value in zip(some, values, strict=True) if value is not None]
        if next_cursor != "0":
            return found, f"{left[0]} {next_cursor}"
        return found, f"{left[1]} 0" if len(left) > 1 else ""

    async def size(self) -> CacheSize:
        """From a sample, where there are many."""
        entries, total, dropped = 0, 0, self._refused
        for node in (await self._server.primaries()).values():
            kept, size = await self._weigh(node)
            entries, total = entries + kept, total + size
            dropped += await self._evicted(node)
        return CacheSize(entries, total, dropped)

    async def order(self, purge: Purge) -> int:
        return await self._orders.give(purge)

    async def orders(self) -> Sequence[Purge]:
        return await self._orders.given()

    async def last_order(self, number: int | None) -> int | None:
        """The number of the last order, which Redis says is `number`; None: it cannot be told now."""
        try:
            return await self._orders.last(number)
        except Overloaded:
            return None

    async def close(self) -> None:
        await self._server.close()

    async def _scan(self, node: ClusterNode | None, cursor: str, org: str, count: int) -> tuple[str, list[bytes]]:
        """Where to go on, and keys of answers."""
        pattern = CACHE + (re.sub(r"([\[\]*?\\^])", r"\\\1", org) + ":" if org else "") + "*"
        reply = await self._server.command("SCAN", cursor, "MATCH", pattern, "COUNT", max(1, count), on=node)
        next_cursor, keys = reply
        if isinstance(next_cursor, dict):  # a cluster tells the cursor of each of the nodes it has asked
            (next_cursor,) = next_cursor.values()
        return str(int(next_cursor)), list(dict.fromkeys(keys))

    async def _weigh(self, node: ClusterNode | None) -> tuple[int, int]:
        """How many answers a node has, and their bytes."""
        names = int(await self._server.command("DBSIZE", on=node))
        cursor, keys = await self._scan(node, "0", "", SAMPLE)
        if not keys:
            return 0, 0
        entries = len(keys) if cursor == "0" else round(names * len(keys) / SAMPLE)
        sizes = []
        for some in _batches(keys[:WEIGHED]):
            sizes += await asyncio.gather(*(self._server.command("STRLEN", key) for key in some))
        return entries, round(entries * (sum(sizes) / len(sizes) + len(keys[0]) + ROW))

    async def _evicted(self, node: ClusterNode | None) -> int:
        reply = await self._server.command("INFO", "stats", on=node, tolerates=(ResponseError,))
        return int(reply.get("evicted_keys", 0)) if isinstance(reply, dict) else 0


def _is_cursor(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,20}", text) is not None and int(text) < 1 << 64


def _key(name: str) -> bytes:
    return (CACHE + name).encode("utf-8", "surrogatepass")


def _name(key: bytes) -> str:
    return key[len(CACHE) :].decode("utf-8", "surrogatepass")


def _batches(keys: Sequence[T]) -> Sequence[Sequence[T]]:
    return [keys[start : start + TOGETHER] for start in range(0, len(keys), TOGETHER)]
