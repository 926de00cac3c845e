"""Pairs of questions: how many of each kind a rule would answer with each other's answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.cache.data import Pair
from bench.cache.embedded import Embedded
from bench.cache.rules import GPTCACHE, REDISVL

THRESHOLDS = (GPTCACHE, 0.80, 0.85, REDISVL, 0.95)


def table(pairs: Sequence[Pair], embedded: Embedded) -> Iterable[tuple[str, ...]]:
    """For each kind and label: how many there are, and the share served at each threshold, without and with the guard."""
    total: Counter[tuple[str, bool]] = Counter()
    plain: Counter[tuple[str, bool, float]] = Counter()
    guarded: Counter[tuple[str, bool, float]] = Counter()
    for pair in pairs:
        score = embedded.score(pair.a, pair.b)
        passes = embedded.passes(pair.a, pair.b)
        for kind in {pair.kind, "all"}:
            total[kind, pair.same] += 1
            for least in THRESHOLDS:
                plain[kind, pair.same, least] += score >= least
                guarded[kind, pair.same, least] += score >= least and passes
    for (kind, same), count in sorted(total.items(), key=lambda item: (item[0][1], item[0][0] == "all", item[0][0])):
        shares = [
            f"{plain[kind, same, least] / count:.1%} → {guarded[kind, same, least] / count:.1%}" for least in THRESHOLDS
        ]
        yield (kind, "same answer" if same else "another answer", str(count), *shares)
