"""What pairs have shown about the bounds of one new version, and the verdict on it."""

from __future__ import annotations

import math

import msgspec

from gateway.template.rollout import stakes
from gateway.template.rollout.bounds import Limit, Measure, StepBack, written
from gateway.template.rollout.pairs import Pairs


class Evidence(msgspec.Struct):
    """`sums` of stakes and the number of `pairs` by measure. What is added together counts once."""

    sums: dict[str, list[float]] = {}
    pairs: dict[str, int] = {}

    def learn(self, measure: Measure, pair: float) -> None:
        self._add(measure.value, stakes.won(pair), 1)

    def add(self, other: Evidence, only: Measure | None = None) -> None:
        for name, sums in other.sums.items():
            if only is None or name == only.value:
                self._add(name, sums, other.pairs.get(name, 0))

    def _add(self, name: str, sums: stakes.Sums, pairs: int) -> None:
        held = self.sums.get(name, stakes.NOTHING)
        self.sums[name] = [one + more for one, more in zip(held, sums, strict=True)]
        self.pairs[name] = self.pairs.get(name, 0) + pairs


class Shown(msgspec.Struct, frozen=True):
    """How near one bound is to being crossed: the new version is stepped back when `evidence`, what a stake of 1 became, is
    `needed`."""

    measure: str
    bound: str
    pairs: int
    evidence: float
    needed: float

    @property
    def is_crossed(self) -> bool:
        return self.evidence >= self.needed

    @property
    def nearness(self) -> float:
        """From 0, nothing speaks against it, to 1, it is crossed; in equal steps for calls that are equally bad."""
        return max(0.0, min(1.0, math.log(self.evidence) / math.log(self.needed)))


def shown(evidence: Evidence, bounds: StepBack, *, versions: int, only: Measure | None = None) -> list[Shown]:
    """One for each bound, or of one measure alone, where `versions` are new."""
    limits = [(measure, limit) for measure, limit in bounds.limits() if only in (None, measure)]
    return [_shown(evidence, bounds, measure, limit, versions) for measure, limit in limits]


def _shown(evidence: Evidence, bounds: StepBack, measure: Measure, limit: Limit, versions: int) -> Shown:
    log = stakes.stake(evidence.sums.get(measure.value, stakes.NOTHING))
    return Shown(
        measure=measure.value,
        bound=written(measure, limit),
        pairs=evidence.pairs.get(measure.value, 0),
        evidence=math.exp(max(-700.0, min(log, 700.0))),
        needed=1 / bounds.alpha(measure, versions=versions),
    )


class Watched:
    """The calls of one new version and the current one, as one worker sees them. What they show is taken with `news`."""

    def __init__(self, bounds: StepBack) -> None:
        self._pairs = Pairs(bounds)
        self.news = Evidence()

    def taken(self) -> Evidence:
        """What was learnt since the last time."""
        news, self.news = self.news, Evidence()
        return news

    def note(self, measure: Measure, value: float, *, is_new: bool) -> float | None:
        """Of one call, see Pairs.add. The pair that was learnt, if one was."""
        pair = self._pairs.add(measure, value, is_new=is_new)
        if pair is not None:
            self.news.learn(measure, pair)
        return pair
