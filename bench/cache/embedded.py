"""Texts with their vectors and readings, each made once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from gateway.cache.semantic import minilm, static
from gateway.cache.semantic.embedder import Vector
from gateway.cache.semantic.guard import veto
from gateway.cache.semantic.reading import Reading, read

_CHUNK = 500


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

    def passes(self, one: str, other: str) -> bool:
        return veto(self.reading(one), self.reading(other)) is None

    def all(self, texts: Iterable[str]) -> None:
        """Embeds them, on every core where there are many."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if len(new) <= _CHUNK:
            return
        chunks = [new[start : start + _CHUNK] for start in range(0, len(new), _CHUNK)]
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=_start) as cores:
            for chunk, vectors in zip(chunks, cores.map(_embed, chunks), strict=True):
                self._vectors.update(zip(chunk, vectors, strict=True))


_here: list[minilm.MiniLM] = []
"""The embedder of a process of the pool."""


def _start() -> None:
    _here.append(minilm.load())


def _embed(texts: Sequence[str]) -> list[Vector | None]:
    return [_here[0].embed(text) for text in texts]
