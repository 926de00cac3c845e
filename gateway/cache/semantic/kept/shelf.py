"""The entries that this worker can find: their questions, and the vectors of both embedders. One thread alone touches it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.cache.semantic.embedder import Vector
from gateway.cache.semantic.index import Index
from gateway.cache.semantic.kept.row import Row, unpack

NEAR_ENOUGH_TO_ASK = 0.65
"""Of the quick embedder: below it the better one is not asked. It keeps 99.7 % of right hits; see docs/semantic-cache.md."""
SEARCHED = 5
"""Neighbours that are looked at."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Entries in all, in a partition, and partitions."""

    entries: int = 50_000
    in_partition: int = 20_000
    partitions: int = 10_000


@dataclass(frozen=True, slots=True)
class Hit:
    name: str
    score: float
    row: Row


class Shelf:
    """`quick` is the quick embedder's function, None where it is not installed: then the better one is always asked."""

    def __init__(self, quick: Callable[[str], Vector | None] | None, bounds: Bounds) -> None:
        self._quick = quick
        self._bounds = bounds
        self._rows: dict[str, Row] = {}
        self._names: dict[bytes, dict[str, None]] = {}
        self._indexes: dict[int, Index] = {}
        self._quick_index: Index | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, name: str) -> Row | None:
        return self._rows.get(name)

    def put(self, name: str, row: Row) -> tuple[str, Row] | None:
        """Adds an entry, or gives it another row. Returns the one of its partition that had to make room, if one did."""
        vector = unpack(row.vector)
        if vector is None:
            return None
        self.take([name])
        dropped = self._make_room(row.partition)
        self._rows[name] = row
        names = self._names.pop(row.partition, {})
        self._names[row.partition] = names  # to the end: the partition that got an entry longest ago goes first
        names[name] = None
        self._index(len(vector)).add(row.partition, name, vector)
        quick = self._quick(row.question) if self._quick is not None else None
        if quick is not None:
            if self._quick_index is None:
                self._quick_index = Index(len(quick), most=self._bounds.entries)
            self._quick_index.add(row.partition, name, quick)
        return dropped

    def take(self, names: Iterable[str]) -> list[Row]:
        """Takes entries away; returns those that were there."""
        return [row for name in names if (row := self._take(name)) is not None]

    def take_org(self, org: str) -> None:
        self.take([name for name in self._rows if name.startswith(f"{org}:")])

    def sweep(self, now: float) -> None:
        """Takes what has expired."""
        self.take([name for name, row in self._rows.items() if row.expires <= now])

    def clear(self) -> None:
        self._rows, self._names, self._indexes, self._quick_index = {}, {}, {}, None

    def is_far(self, partition: bytes, text: str) -> bool:
        """Whether nothing here can be near, as far as the quick embedder sees."""
        if partition not in self._names:
            return True
        if self._quick is None or self._quick_index is None:
            return False
        vector = self._quick(text)
        return vector is not None and not self._quick_index.search(partition, vector, most=1, least=NEAR_ENOUGH_TO_ASK)

    def is_full(self, partition: bytes) -> bool:
        """Whether older entries of the partition may have had to go."""
        return len(self._names.get(partition, ())) >= self._bounds.in_partition

    def search(self, partition: bytes, vector: Vector, *, least: float, now: float) -> list[Hit]:
        """The nearest that have not expired, the nearest first."""
        index = self._indexes.get(len(vector))
        near = [] if index is None else index.search(partition, vector, most=SEARCHED, least=least)
        return [Hit(one.id, one.score, row) for one in near if (row := self._rows[one.id]).expires > now]

    @property
    def size(self) -> int:
        """Bytes of its vectors."""
        every = [*self._indexes.values(), *([self._quick_index] if self._quick_index is not None else [])]
        return sum(index.size for index in every)

    def _index(self, dimensions: int) -> Index:
        if dimensions not in self._indexes:
            self._indexes[dimensions] = Index(dimensions, most=self._bounds.entries)
        return self._indexes[dimensions]

    def _take(self, name: str) -> Row | None:
        row = self._rows.pop(name, None)
        if row is None:
            return None
        self._index(len(row.vector) // 2).remove(row.partition, name)
        if self._quick_index is not None:
            self._quick_index.remove(row.partition, name)
        names = self._names[row.partition]
        del names[name]
        if not names:
            del self._names[row.partition]
        return row

    def _make_room(self, partition: bytes) -> tuple[str, Row] | None:
        dropped = None
        names = self._names.get(partition, {})
        if len(names) >= self._bounds.in_partition:
            oldest = next(iter(names))
            row = self._take(oldest)
            dropped = None if row is None else (oldest, row)
        if partition not in self._names and len(self._names) >= self._bounds.partitions:
            self.take(list(next(iter(self._names.values()))))
        while len(self._rows) >= self._bounds.entries:
            self._take(next(iter(self._rows)))
        return dropped
