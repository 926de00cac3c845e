"""`python -m bench.cache.memory`: what a worker's index costs, in memory for 10,000 questions, and in time for one lookup.

Texts are made up; the vectors of the better embedder are drawn at random, those of the quick one are its own.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from gateway.cache.key import Target
from gateway.cache.semantic import assembly
from gateway.cache.semantic.asked import Asked, SemanticRule
from gateway.cache.semantic.embedder import Vector
from gateway.cache.semantic.kept.replica import Quick
from gateway.cache.semantic.kept.row import Row, pack
from gateway.cache.semantic.kept.shelf import Bounds, Shelf
from gateway.cache.semantic.tier import Semantic
from gateway.core.clock import Clock
from gateway.store.sqlite.meanings import SqliteMeanings

_ENTRIES = 10_000
_LOOKUPS = 300
_DIMENSIONS = 384
_ORG = "a" * 16
_THINGS = (
    "lantern router garden engine violin passport sensor kettle compiler glacier tunnel magnet novel reactor".split()
)
_DEEDS = "clean repair rent paint measure describe borrow return compare assemble translate insure ship label".split()


def main() -> int:
    random = np.random.default_rng(1)
    quick = assembly.load_quick()
    for name, partitions in (("one partition", 1), ("a partition for each", _ENTRIES)):
        tracemalloc.start()
        shelf = _filled(random, quick, partitions)
        held = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
        print(f"{len(shelf):,} entries, {name}: {held:.1f} MB, of which vectors {shelf.size / 1e6:.1f} MB")
    asyncio.run(_lookups())
    return 0


def question(number: int) -> str:
    deed, thing = _DEEDS[number % len(_DEEDS)], _THINGS[number // len(_DEEDS) % len(_THINGS)]
    return f"How do I {deed} the {thing} of model {number} in the old workshop?"


def _filled(random: np.random.Generator, quick: Quick | None, partitions: int) -> Shelf:
    shelf = Shelf(quick, Bounds())
    for number in range(_ENTRIES):
        vector: Vector = random.standard_normal(_DIMENSIONS).astype(np.float32)
        part = (number % partitions).to_bytes(32)
        row = Row(
            part, "support", question(number), pack(vector / np.float32(np.linalg.norm(vector))), time.time() + 3600
        )
        shelf.put(f"{_ORG}:{number:064x}", row)
    return shelf


async def _lookups() -> None:
    """Whole ones, with both embedders and the guard, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        shares = SqliteMeanings(Path(folder), Clock())
        one = assembly.assembled(shares, pepper=b"p" * 32, embeds=None, judges=None, clock=Clock())
        for _ in range(300):
            if (await one.look(_asked(question(0)))).reason == "no_neighbour":
                break
            await asyncio.sleep(0.1)
        for number in range(0, _LOOKUPS):
            found = await one.look(_asked(question(number)))
            await one.keep(found, f"{_ORG}:{number:064x}", time.time() + 3600)
        await _timed(
            one,
            "questions unlike any kept",
            [f"Who wrote the {thing} song about number {n}?" for n, thing in enumerate(_THINGS * 20)],
        )
        await _timed(
            one, "questions like one that is kept", [question(n).replace("do I", "can I") for n in range(_LOOKUPS)]
        )
        await one.close()
        await shares.close()


async def _timed(one: Semantic, name: str, texts: list[str]) -> None:
    took, seen = [], set()
    cpu = time.process_time()
    for text in texts:
        began = time.perf_counter()
        seen.add((await one.look(_asked(text))).reason)
        took.append((time.perf_counter() - began) * 1e3)
    cpu = (time.process_time() - cpu) / len(texts) * 1e3
    tail = statistics.quantiles(took, n=100)[98]
    print(
        f"{name}: p50 {statistics.median(took):.2f} ms, p99 {tail:.2f} ms, CPU {cpu:.2f} ms ({', '.join(sorted(seen))})"
    )


def _asked(text: str) -> Asked:
    fields = {"model": "m", "messages": [{"role": "user", "content": text}]}
    rule = SemanticRule(3600.0, threshold=0.9)
    return Asked(("org", "acme"), Target("chat", "m", "support"), fields, _ORG, "support", rule)


if __name__ == "__main__":
    sys.exit(main())
