"""Who is near to whom in a set of questions: found once, so that many rules can be tried on many streams of it.

It finds what the gateway's own index finds; where the few that were looked up beforehand do not suffice, it asks the index.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.cache.embedded import Embedded
from gateway.cache.semantic.index import Index
from gateway.cache.semantic.near import Near

_BEFOREHAND = 96
_ROWS = 512
_FOUND = 5
_PARTITION = b"all"


class Neighbours:
    """`texts` without a vector are near to none."""

    def __init__(self, texts: Sequence[str], embedded: Embedded) -> None:
        self._embedded = embedded
        self.known = [text for text in dict.fromkeys(texts) if embedded.vector(text) is not None]
        self._near: dict[str, list[tuple[str, float]]] = {}
        block = np.array([embedded.vector(text) for text in self.known], dtype=np.float32)
        most = min(_BEFOREHAND + 1, len(self.known))
        for start in range(0, len(self.known), _ROWS):
            scores = block[start : start + _ROWS] @ block.T
            nearest = np.argpartition(scores, -most, axis=1)[:, -most:]
            for row, places in enumerate(nearest):
                ranked = places[np.argsort(-scores[row, places])]
                self._near[self.known[start + row]] = [(self.known[p], float(scores[row, p])) for p in ranked]

    def among(self, most: int) -> Kept:
        return Kept(self, self._embedded, most)

    def of(self, text: str) -> Sequence[tuple[str, float]]:
        return self._near.get(text, ())


class Kept:
    """The questions of one stream that were kept: an id each, found by their text's nearness."""

    def __init__(self, neighbours: Neighbours, embedded: Embedded, most: int) -> None:
        self._neighbours = neighbours
        self._embedded = embedded
        vector = embedded.vector(neighbours.known[0])
        assert vector is not None
        self._index = Index(len(vector), most=most)
        self._ids: dict[str, list[str]] = {}

    def add(self, id: str, text: str) -> None:
        vector = self._embedded.vector(text)
        if vector is not None:
            self._ids.setdefault(text, []).append(id)
            self._index.add(_PARTITION, id, vector)

    def search(self, text: str, *, least: float) -> list[Near]:
        vector = self._embedded.vector(text)
        if vector is None:
            return []
        found: list[Near] = []
        for other, score in self._neighbours.of(text):
            if score < least:
                return found
            found += [Near(id, score) for id in self._ids.get(other, ())]
            if len(found) >= _FOUND:
                return found[:_FOUND]
        return self._index.search(_PARTITION, vector, most=_FOUND, least=least)
