"""The nearest of what is kept, found by comparing with all of it: exact, and quick enough for one partition of one node.

10,000 vectors of 384 numbers take 0.3 ms and 15 MB. A partition is a set of its own and never a filter: what is in another
cannot be found.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gateway.cache.semantic.embedder import Vector
from gateway.cache.semantic.near import Near

_FIRST_ROWS = 1


class Index:
    """`most` entries to a partition: the one added longest ago makes room for a new one."""

    def __init__(self, dimensions: int, *, most: int = 20_000) -> None:
        self._dimensions = dimensions
        self._most = most
        self._parts: dict[bytes, _Part] = {}

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts.values())

    @property
    def size(self) -> int:
        """Bytes of its vectors."""
        return sum(part.size for part in self._parts.values())

    def add(self, partition: bytes, id: str, vector: Vector) -> str | None:
        """Adds an entry, or gives the one of that id another vector. Returns the id of the one that had to go, if one did.

        Raises ValueError for a vector that is not of this index's dimensions and of length 1, whatever wrote it.
        """
        if vector.shape != (self._dimensions,) or not abs(float(vector @ vector) - 1.0) < 1e-3:
            raise ValueError(f"a vector must have {self._dimensions} dimensions and the length 1")
        part = self._parts.setdefault(partition, _Part(self._dimensions))
        part.remove(id)
        dropped = part.oldest() if len(part) >= self._most else None
        if dropped is not None:
            part.remove(dropped)
        part.add(id, vector)
        return dropped

    def remove(self, partition: bytes, id: str) -> bool:
        """Whether it was there."""
        part = self._parts.get(partition)
        if part is None or not part.remove(id):
            return False
        if not len(part):
            del self._parts[partition]
        return True

    def drop(self, partition: bytes) -> int:
        """Forgets a whole partition; returns how many entries it had."""
        return len(self._parts.pop(partition, ()))

    def search(self, partition: bytes, vector: Vector, *, most: int = 5, least: float = 0.0) -> list[Near]:
        """The nearest `most` of the partition that score `least` at least, the nearest first."""
        part = self._parts.get(partition)
        return [] if part is None else part.search(vector, most=most, least=least)


class _Part:
    """The vectors of one partition in one block; the row of a removed one is taken by the last."""

    def __init__(self, dimensions: int) -> None:
        self._block = np.empty((_FIRST_ROWS, dimensions), dtype=np.float32)
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    @property
    def size(self) -> int:
        size: int = self._block.nbytes
        return size

    def oldest(self) -> str:
        return next(iter(self._rows))

    def add(self, id: str, vector: Vector) -> None:
        row = len(self._ids)
        if row == len(self._block):
            grown = np.empty((row + 1 + row // 4, self._block.shape[1]), dtype=np.float32)
            grown[:row] = self._block
            self._block = grown
        self._block[row] = vector
        self._ids.append(id)
        self._rows[id] = row

    def remove(self, id: str) -> bool:
        row = self._rows.pop(id, None)
        if row is None:
            return False
        last = self._ids.pop()
        if last != id:
            self._ids[row] = last
            self._rows[last] = row
            self._block[row] = self._block[len(self._ids)]
        return True

    def search(self, vector: Vector, *, most: int, least: float) -> list[Near]:
        scores = np.vecdot(self._block[: len(self._ids)], vector)  # in this thread alone, which `@` is not
        rows = np.flatnonzero(scores >= np.float32(least))
        if len(rows) > most:
            rows = rows[np.argpartition(scores[rows], -most)[-most:]]
        near = [Near(self._ids[row], float(scores[row])) for row in rows]
        near.sort(key=lambda one: one.score, reverse=True)
        return near
