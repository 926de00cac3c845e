"""What is counted of the calls of one route."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gateway.replay.loss import MOST_STRATA, Loss, Stratum, loss_of
from gateway.replay.spending import Cost

_MOST_MOVES = 10_000
OTHERS = "others"


@dataclass(slots=True)
class Escalations:
    """Of the trials of one cascade, each weighed by how seldom such trials were made: those that its strong model had to
    answer, and all."""

    escalated: float = 0.0
    tried: float = 0.0

    @property
    def share(self) -> float | None:
        return self.escalated / self.tried if self.tried else None


@dataclass(slots=True)
class Spent:
    """Nano-USD under one policy. `unpriced` calls have no known price; of cascades, by what they are, what it would cost to
    escalate every call."""

    sure: int = 0
    unpriced: int = 0
    escalations: Counter[str] = field(default_factory=Counter)

    def add(self, answers: str, cost: Cost | None) -> None:
        """Of a call that was answered so."""
        if cost is None:
            self.unpriced += 1
            return
        self.sure += cost.sure
        if cost.escalated:
            self.escalations[answers] += cost.escalated

    def total(self, known: dict[str, Escalations]) -> int | None:
        """None where a price, or how often a cascade escalates, is not known."""
        total = float(self.sure)
        for cascade, cost in self.escalations.items():
            share = known[cascade].share if cascade in known else None
            if share is None:
                return None
            total += share * cost
        return None if self.unpriced else round(total)

    def merge(self, other: Spent) -> None:
        self.sure += other.sure
        self.unpriced += other.unpriced
        self.escalations.update(other.escalations)


@dataclass(slots=True)
class Figures:
    """`calls` are those that both policies decide about; of the others `unknown` has the reasons. `changed` ones
    have another outcome, and `moved` ones of them somebody else's answer. Pairs of two figures are under
    the old policy and under the new one. `too_long`
    are those of the refused ones whose prompt is surely longer than fits who would answer."""

    calls: int = 0
    changed: int = 0
    moved: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    refused: list[int] = field(default_factory=lambda: [0, 0])
    too_long: list[int] = field(default_factory=lambda: [0, 0])
    over_budget: list[int] = field(default_factory=lambda: [0, 0])
    spent: tuple[Spent, Spent] = field(default_factory=lambda: (Spent(), Spent()))
    hits: int = 0
    lost_hits: int = 0
    strata: dict[tuple[str, str, float], Stratum] = field(default_factory=dict)
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)

    def stratum(self, before: str, after: str, probability: float, *, sign: int) -> Stratum | None:
        """The one of this change and probability; None where there are too many."""
        key = before, after, probability
        found = self.strata.get(key)
        if found is None and len(self.strata) < MOST_STRATA:
            found = self.strata[key] = Stratum(sign)
        return found

    def move(self, before: str, after: str) -> None:
        key = (before, after)
        self.moves[key if key in self.moves or len(self.moves) < _MOST_MOVES else (OTHERS, OTHERS)] += 1

    @property
    def labelled(self) -> int:
        return sum(each.labels.total() for each in self.strata.values())

    @property
    def unscored(self) -> int:
        return sum(each.unscored for each in self.strata.values())

    def loss(self) -> Loss | None:
        return loss_of(tuple(self.strata.values()), self.moved)

    def merge(self, other: Figures) -> None:
        """With those of another route, whose figures are left as they are."""
        self.calls += other.calls
        self.changed += other.changed
        self.moved += other.moved
        self.unknown.update(other.unknown)
        pairs = (self.refused, other.refused), (self.too_long, other.too_long), (self.over_budget, other.over_budget)
        for mine, theirs in pairs:
            mine[:] = [one + more for one, more in zip(mine, theirs, strict=True)]
        for spent, more in zip(self.spent, other.spent, strict=True):
            spent.merge(more)
        self.hits += other.hits
        self.lost_hits += other.lost_hits
        self.moves.update(other.moves)
        for (before, after, probability), stratum in other.strata.items():
            mine_too = self.stratum(before, after, probability, sign=stratum.sign)
            if mine_too is not None:
                mine_too.merge(stratum)
