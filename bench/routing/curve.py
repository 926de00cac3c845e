"""How well a score ranks prompts, by RouteLLM's measures (Ong et al. 2024): PGR is the share of the gap between the weak and
the strong model that is recovered, APGR its mean over all shares of calls that go to the strong one, CPT(x) the share of them
that recovers x."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from bench.routing.data import Row


@dataclass(frozen=True, slots=True)
class Ranking:
    """`apgr` is 0.5 for random scores; `cpt50` and `cpt80` are percentages, 50 and 80 for random scores."""

    apgr: float
    cpt50: float
    cpt80: float


CHANCE = Ranking(0.5, 50.0, 80.0)


def rank(rows: Sequence[Row], scores: Sequence[float]) -> Ranking:
    """The highest scores go to the strong model first, equal ones together. Each app weighs as much as any other, however many
    rows it has. Where both models are equally good there is nothing to recover, and the ranking is that of chance."""
    sizes = Counter(row.app for row in rows)
    order = sorted(range(len(rows)), key=lambda place: -scores[place])
    shares, gains = [0.0], [0.0]
    for _, places in groupby(order, key=lambda place: scores[place]):
        together = [rows[place] for place in places]
        shares.append(shares[-1] + sum(1 / sizes[row.app] for row in together) / len(sizes))
        gains.append(gains[-1] + sum(row.loss / sizes[row.app] for row in together) / len(sizes))
    if not gains[-1]:
        return CHANCE
    pgr = [gain / gains[-1] for gain in gains]
    area = sum(
        (pgr[place] + pgr[place - 1]) / 2 * (shares[place] - shares[place - 1]) for place in range(1, len(shares))
    )
    return Ranking(area, _reaches(shares, pgr, 0.5), _reaches(shares, pgr, 0.8))


def mean(rankings: Sequence[Ranking]) -> Ranking:
    return Ranking(
        fmean(one.apgr for one in rankings), fmean(one.cpt50 for one in rankings), fmean(one.cpt80 for one in rankings)
    )


def _reaches(shares: Sequence[float], pgr: Sequence[float], wanted: float) -> float:
    """The smallest share of calls, as a percentage, with which the PGR is what is wanted; between two shares it grows evenly."""
    after = next((place for place, gained in enumerate(pgr) if gained >= wanted), len(pgr) - 1)
    part = (wanted - pgr[after - 1]) / (pgr[after] - pgr[after - 1])
    return 100 * (shares[after - 1] + part * (shares[after] - shares[after - 1]))
