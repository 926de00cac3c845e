"""The nearest, found by a search module: RediSearch, or Valkey's.

Hashes that expire by themselves, and one index for each length of vectors, with the partition as a tag: the filter comes before
the search there, so that what is near in another partition takes no place. Written to what both modules document; see
docs/semantic-cache.md for what it was tried on.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from redis.exceptions import ResponseError

from gateway.store.redis.names import FOUND
from gateway.store.redis.server import Server

PAGE = 1000
"""Keys looked through in one command."""
_NUMBER_BYTES = 4


class SearchModule:
    """See contract.NearestStore."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._made: set[int] = set()

    async def add(self, partition: str, name: str, vector: bytes, value: bytes, *, expires: float) -> None:
        if expires <= time.time():
            return
        dimensions = len(vector) // _NUMBER_BYTES
        await self._ensure(dimensions)
        fields = ("name", name, "partition", partition, _vector(dimensions), vector, "value", value)
        await self._server.command("HSET", FOUND + name, *fields)
        await self._server.command("PEXPIREAT", FOUND + name, int(expires * 1000))

    async def search(self, partition: str, org: str, vector: bytes, *, most: int) -> Sequence[tuple[str, bytes]]:
        dimensions = len(vector) // _NUMBER_BYTES
        query = f"@partition:{{{partition}}}=>[KNN {most} @{_vector(dimensions)} $vector AS distance]"
        words = ("RETURN", 2, "name", "value", "LIMIT", 0, most, "PARAMS", 2, "vector", vector, "DIALECT", 2)
        reply = await self._server.command("FT.SEARCH", _index(dimensions), query, *words, tolerates=(ResponseError,))
        if isinstance(reply, ResponseError):  # there is no such index yet
            return []
        found = [one for fields in reply[2::2] if (one := _found(fields)) is not None]
        return [(name, value) for name, value in found if name.startswith(f"{org}:")]

    async def remove(self, names: Collection[str]) -> None:
        for name in names:
            await self._server.command("UNLINK", FOUND + name)

    async def remove_org(self, org: str) -> None:
        cursor = b"0"
        while True:
            cursor, keys = await self._server.command("SCAN", cursor, "MATCH", f"{FOUND}{org}:*", "COUNT", PAGE)
            if keys:
                await self._server.command("UNLINK", *keys)
            if cursor in (0, b"0"):
                return

    async def _ensure(self, dimensions: int) -> None:
        if dimensions in self._made:
            return
        vector = (_vector(dimensions), "VECTOR", "HNSW", 6, "TYPE", "FLOAT32", "DIM", dimensions)
        schema = ("SCHEMA", "partition", "TAG", *vector, "DISTANCE_METRIC", "COSINE")
        head = ("FT.CREATE", _index(dimensions), "ON", "HASH", "PREFIX", 1, FOUND)
        await self._server.command(*head, *schema, tolerates=(ResponseError,))  # most often it exists
        self._made.add(dimensions)


def _found(fields: Any) -> tuple[str, bytes] | None:
    named = dict(zip(fields[::2], fields[1::2], strict=False))
    name, value = named.get(b"name"), named.get(b"value")
    return None if name is None or value is None else (name.decode(errors="replace"), value)


def _index(dimensions: int) -> str:
    return f"llmgw-found-{dimensions}"


def _vector(dimensions: int) -> str:
    """A name of its own for each length: what has another one is passed over by an index, and not an error in it."""
    return f"vector{dimensions}"
