"""What a lookup costs: CPU time, in microseconds, and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.cache.embedded import Embedded
from bench.cache.goals import Goal
from gateway.cache.key import Target, exact_key
from gateway.cache.semantic import decision
from gateway.cache.semantic.index import Index
from gateway.cache.semantic.reading import read

_ASKED = 200
_ENTRIES = 10_000
_LEAST = decision.search_floor(0.80)
_PREFILTER_LEAST = 0.65
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds, each by itself, with an index of 10,000 entries; `sent_on` is the share of questions that a cascade gives
    to MiniLM, and the memory that of 10,000 entries, in megabytes."""

    key: float
    minilm: float
    static: float
    look: float
    static_look: float
    decide: float
    sent_on: float
    vectors: float
    static_vectors: float
    readings: float

    @property
    def whole(self) -> float:
        return self.minilm + self.look + self.decide

    @property
    def cascade(self) -> float:
        return self.static + self.static_look + self.sent_on * self.whole

    @property
    def whole_static(self) -> float:
        return self.static + self.static_look + self.decide

    def rows(self) -> Iterable[tuple[str, str]]:
        yield "exact key, 0.5 KB request", f"{self.key:.1f} µs"
        yield "embed: MiniLM, static", f"{self.minilm:,.0f} µs, {self.static:,.0f} µs"
        yield "lookup among 10,000: 384 numbers, 256", f"{self.look:,.0f} µs, {self.static_look:,.0f} µs"
        yield "decision, with the reading of the question", f"{self.decide:,.0f} µs"
        yield "the whole with MiniLM", f"{self.whole:,.0f} µs"
        yield f"the whole as a cascade, MiniLM for {self.sent_on:.0%}", f"{self.cascade:,.0f} µs"
        yield "the whole with the static embedder alone", f"{self.whole_static:,.0f} µs"
        yield (
            "memory of 10,000 entries: vectors, the cascade's, readings",
            f"{self.vectors:.1f} MB, {self.static_vectors:.1f} MB, {self.readings:.1f} MB",
        )

    def goals(self) -> Iterable[Goal]:
        for name, cost, most in (
            ("with MiniLM", self.whole, 5_000),
            ("as a cascade", self.cascade, 2_500),
            ("with the static embedder alone", self.whole_static, 300),
        ):
            yield Goal(f"lookup {name}: at most {most:,} µs of CPU", f"{cost:,.0f} µs", cost <= most)


def measure(texts: Sequence[str], embedded: Embedded) -> Cost:
    """`texts` are questions of usual length; most are kept, and the rest, which are not, are looked up."""
    asked = texts[:_ASKED]
    fields = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "You help. " * 30}, {"role": "user", "content": "Why? " * 20}],
        "temperature": 0.2,
    }
    target = Target("chat", "gpt-4o-mini", "default")
    index, static_index, shelf, readings = _filled(texts[_ASKED:], embedded)
    vectors = {text: vector for text in asked if (vector := embedded.vector(text)) is not None}
    statics = {text: vector for text in asked if (vector := embedded.static.embed(text)) is not None}
    found = {text: index.search(b"p", vector, least=_LEAST) for text, vector in vectors.items()}
    near = [static_index.search(b"p", one, least=_PREFILTER_LEAST, most=1) for one in statics.values()]
    return Cost(
        key=_each(lambda _: exact_key(b"p" * 32, ("key", "acme", "", "k1"), target, fields), asked),
        minilm=_each(embedded.minilm.embed, asked),
        static=_each(embedded.static.embed, asked),
        look=_each(lambda text: index.search(b"p", vectors[text], least=_LEAST), list(vectors)),
        static_look=_each(
            lambda text: static_index.search(b"p", statics[text], least=_PREFILTER_LEAST, most=1), list(statics)
        ),
        decide=_each(
            lambda text: decision.decide(read(text), found[text], shelf.get, floor=0.8, threshold=0.9), list(vectors)
        ),
        sent_on=sum(map(bool, near)) / max(1, len(near)),
        vectors=_ENTRIES * 384 * 4 / 1e6,
        static_vectors=_ENTRIES * 256 * 4 / 1e6,
        readings=readings,
    )


def _filled(texts: Sequence[str], embedded: Embedded) -> tuple[Index, Index, dict[str, decision.Kept], float]:
    """An index of 10,000 entries: the texts that are there, and vectors at random for what is missing. Also what the readings of
    10,000 take, in megabytes."""
    index, static_index = Index(384), Index(256)
    tracemalloc.start()
    shelf = {str(number): decision.Kept(read(text)) for number, text in enumerate(texts[:_ENTRIES])}
    readings = tracemalloc.get_traced_memory()[0] / 1e6 / len(shelf) * _ENTRIES
    tracemalloc.stop()
    for number, text in enumerate(texts[:_ENTRIES]):
        vector, quick = embedded.vector(text), embedded.static.embed(text)
        if vector is not None and quick is not None:
            index.add(b"p", str(number), vector)
            static_index.add(b"p", str(number), quick)
    random = np.random.default_rng(1)
    for number in range(len(index), _ENTRIES):
        for one, size in ((index, 384), (static_index, 256)):
            noise = random.standard_normal(size).astype(np.float32)
            one.add(b"p", f"noise {number}", noise / np.float32(np.linalg.norm(noise)))
    return index, static_index, shelf, readings


def _each(work: Callable[[str], object], items: Sequence[str]) -> float:
    """Microseconds of CPU for one item, in the best of some rounds: the machine may have other work, which empties its caches."""
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        for item in items:
            work(item)
        best = min(best, time.process_time() - began)
    return best / max(1, len(items)) * 1e6
