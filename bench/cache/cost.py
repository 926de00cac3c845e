"""What a lookup costs: CPU time, in microseconds, and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from bench.cache.embedded import Embedded
from gateway.cache.key import Target, exact_key
from gateway.cache.semantic import decision
from gateway.cache.semantic.index import Index
from gateway.cache.semantic.reading import read

_ENTRIES = 10_000
_PREFILTER_LEAST = 0.65


def rows(texts: Sequence[str], embedded: Embedded) -> Iterable[tuple[str, str]]:
    """`texts` are questions of usual length, most of which have not been kept."""
    some = texts[:200]
    fields = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "You help. " * 30}, {"role": "user", "content": "Why? " * 20}],
        "temperature": 0.2,
    }
    target = Target("chat", "gpt-4o-mini", "default")
    key = _each(lambda _: exact_key(b"p" * 32, ("key", "acme", "", "k1"), target, fields), some, rounds=20)
    yield "exact key, 0.5 KB request", f"{key:.1f} µs"
    minilm, quick = _each(embedded.minilm.embed, some), _each(embedded.static.embed, some, rounds=5)
    yield "embed, MiniLM", f"{minilm:,.0f} µs"
    yield "embed, static", f"{quick:,.0f} µs"
    index, static_index, shelf = _filled(texts, embedded)
    vectors = {text: vector for text in some if (vector := embedded.vector(text)) is not None}
    statics = {text: vector for text in some if (vector := embedded.static.embed(text)) is not None}
    look = _each(lambda text: index.search(b"p", vectors[text], least=0.74), list(vectors))
    static_look = _each(
        lambda text: static_index.search(b"p", statics[text], least=_PREFILTER_LEAST, most=1), list(statics)
    )
    yield f"lookup among {len(index):,}, 384 numbers", f"{look:,.0f} µs"
    yield f"lookup among {len(static_index):,}, 256 numbers", f"{static_look:,.0f} µs"
    found = {text: index.search(b"p", vector, least=0.74) for text, vector in vectors.items()}
    decide = _each(
        lambda text: decision.decide(read(text), found[text], shelf.get, floor=0.8, threshold=0.9), list(vectors)
    )
    yield "decision, with the reading of the question", f"{decide:,.0f} µs"
    near = sum(bool(static_index.search(b"p", one, least=_PREFILTER_LEAST, most=1)) for one in statics.values())
    share = near / max(1, len(statics))
    whole, quick_whole = minilm + look + decide, quick + static_look
    yield "whole lookup, MiniLM (goal 5,000)", f"{whole:,.0f} µs"
    yield f"whole lookup, cascade: MiniLM for {share:.0%} (goal 2,500)", f"{quick_whole + share * whole:,.0f} µs"
    yield "whole lookup, static alone (goal 300)", f"{quick_whole + decide:,.0f} µs"
    per = 10_000 / 1e6
    yield "memory per 10,000 entries, vectors", f"{384 * 4 * per:.1f} MB, and {256 * 4 * per:.1f} MB for the cascade"


def _filled(texts: Sequence[str], embedded: Embedded) -> tuple[Index, Index, dict[str, decision.Kept]]:
    """An index of 10,000 entries: the texts that are there, and vectors at random for what is missing."""
    index, static_index, shelf = Index(384), Index(256), {}
    for number, text in enumerate(texts[200 : 200 + _ENTRIES]):
        vector, quick = embedded.vector(text), embedded.static.embed(text)
        if vector is not None and quick is not None:
            index.add(b"p", str(number), vector)
            static_index.add(b"p", str(number), quick)
            shelf[str(number)] = decision.Kept(embedded.reading(text))
    random = np.random.default_rng(1)
    for number in range(len(index), _ENTRIES):
        for one, size in ((index, 384), (static_index, 256)):
            noise = random.standard_normal(size).astype(np.float32)
            one.add(b"p", f"noise {number}", noise / np.float32(np.linalg.norm(noise)))
    return index, static_index, shelf


def _each(work: Callable[[str], object], items: Sequence[str], *, rounds: int = 1) -> float:
    """Microseconds of CPU for one item; the machine may have other work."""
    began = time.process_time()
    for _ in range(rounds):
        for item in items:
            work(item)
    return (time.process_time() - began) / (rounds * len(items)) * 1e6
