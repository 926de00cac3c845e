"""How often the promise is broken: many streams drawn anew from one set, each against an empty cache."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.cache.data import Asked
from bench.cache.embedded import Embedded
from bench.cache.neighbours import Neighbours
from bench.cache.rules import Ours
from bench.cache.stream import run
from gateway.cache.semantic.earned import Promise

_FEWEST_TO_JUDGE = 100


@dataclass(frozen=True, slots=True)
class Broken:
    """Of `streams`, those that earned a threshold, and those that then served more wrong hits than promised; the latter also
    without streams that served fewer than 100 hits, whose share is mostly chance."""

    streams: int
    earned: int
    broken: int
    broken_and_long: int
    worst: float


def resample(
    asked: Sequence[Asked], neighbours: Neighbours, embedded: Embedded, *, streams: int, length: int, promise: Promise
) -> Broken:
    earned = broken = long = 0
    worst = 0.0
    for seed in range(streams):
        drawn = random.Random(seed).sample(asked, min(length, len(asked)))
        outcome = run(drawn, Ours(promise, seed), neighbours, embedded)
        is_broken = outcome.wrong_among_hits > promise.max_error
        earned += outcome.served > 0
        broken += is_broken
        long += is_broken and outcome.served >= _FEWEST_TO_JUDGE
        if outcome.served >= _FEWEST_TO_JUDGE:
            worst = max(worst, outcome.wrong_among_hits)
    return Broken(streams, earned, broken, long, worst)
