"""Texts with their vectors and readings, each made once."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.cache.semantic import minilm, static
from gateway.cache.semantic.embedder import Vector
from gateway.cache.semantic.reading import Reading, read


class Embedded:
    def __init__(self) -> None:
        self.minilm = minilm.load()
        self.static = static.load()
        self._vectors: dict[str, Vector | None] = {}
        self._readings: dict[str, Reading] = {}

    def vector(self, text: str) -> Vector | None:
        if text not in self._vectors:
            self._vectors[text] = self.minilm.embed(text)
        return self._vectors[text]

    def reading(self, text: str) -> Reading:
        if text not in self._readings:
            self._readings[text] = read(text)
        return self._readings[text]

    def score(self, one: str, other: str) -> float:
        """-1 where one of them is not embedded, and so never found."""
        a, b = self.vector(one), self.vector(other)
        return -1.0 if a is None or b is None else float(a @ b)

    def all(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.vector(text)
