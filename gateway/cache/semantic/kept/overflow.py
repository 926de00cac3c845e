"""What a partition has no room for in this worker, where the server can search it itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from gateway.cache.semantic.embedder import Vector
from gateway.cache.semantic.kept.row import Row, read, unpack, write
from gateway.cache.semantic.kept.shelf import SEARCHED, Hit
from gateway.cache.semantic.outside import Nearest


class Overflow:
    """Every method raises Overloaded when the store is away. `damaged` counts rows that did not check."""

    def __init__(self, nearest: Nearest, *, pepper: bytes) -> None:
        self._nearest = nearest
        self._pepper = pepper
        self.damaged = 0

    async def add(self, name: str, row: Row) -> None:
        vector = unpack(row.vector)
        if vector is not None:
            value = write(row, name=name, pepper=self._pepper)
            await self._nearest.add(row.partition.hex(), name, _floats(vector), value, expires=row.expires)

    async def search(self, partition: bytes, org: str, vector: Vector, *, least: float, now: float) -> list[Hit]:
        """The nearest that have not expired, the nearest first. Scores are those of the rows, not the server's."""
        found = await self._nearest.search(partition.hex(), org, _floats(vector), most=SEARCHED)
        hits = [hit for name, value in found if (hit := self._hit(name, value, partition, vector)) is not None]
        hits.sort(key=lambda hit: hit.score, reverse=True)
        return [hit for hit in hits if hit.score >= least and hit.row.expires > now]

    async def remove(self, names: Collection[str]) -> None:
        await self._nearest.remove(names)

    async def remove_org(self, org: str) -> None:
        await self._nearest.remove_org(org)

    def _hit(self, name: str, value: bytes, partition: bytes, vector: Vector) -> Hit | None:
        row = read(value, name=name, pepper=self._pepper)
        kept = None if row is None else unpack(row.vector)
        if row is None or kept is None or kept.shape != vector.shape or row.partition != partition:
            self.damaged += 1
            return None
        return Hit(name, float(np.dot(kept, vector)), row)


def merged(some: Sequence[Hit], more: Sequence[Hit]) -> list[Hit]:
    """The nearest of both, each name once."""
    best = {hit.name: hit for hit in sorted([*some, *more], key=lambda hit: hit.score)}
    return sorted(best.values(), key=lambda hit: hit.score, reverse=True)[:SEARCHED]


def _floats(vector: Vector) -> bytes:
    packed: bytes = vector.astype("<f4").tobytes()
    return packed
