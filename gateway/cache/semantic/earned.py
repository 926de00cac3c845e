"""The threshold that a route has earned: how near is near enough, learnt from answers that were compared.

While a route learns, every would-be hit goes upstream all the same, and the kept answer is compared with the real one: right or
wrong. For each rung of a ladder of thresholds that is a stream of draws from the hits it would serve, and a bet against "its
share of wrong hits is `max_error` or more" (see `wealth`). A rung is earned when the bet has grown to 1/alpha; the chance that a
rung which deserves no trust ever gets there is at most alpha, however often one looks (Ville's inequality). Rungs are tried in
an order that was fixed beforehand, each only after those before it, so that trying many costs nothing.

Then the widest earned rung serves, and a random share of all would-be hits is still compared. A second bet, for "the share is
above `max_error`", is kept on each rung from any moment on (a sum that cannot fall below zero): when it wins, the rung and all
wider ones are lost, at once, and must be earned anew. What is promised is for the time between two such moments.

It learns from a share of its would-be hits, not from each: an empty cache errs more than a full one, and what its first minutes
show is not what it will do. It learns in two steps, since comparisons are dear and near hits err least: from the hits at .88 and
above until that is earned, which is then served, and only from then on for the wider rungs, from hits of all scores.

At any one time the chance to be compared is the same for every would-be hit that the rungs in question would serve, whatever its
score: the draws stand for the hits only because of that. So what the first step showed is not counted for the wider rungs.
Nothing here does I/O or knows the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import msgspec

from gateway.core import bet

LADDER = (0.98, 0.96, 0.94, 0.92, 0.90, 0.88, 0.86, 0.84, 0.82, 0.80)
"""The thresholds that can be earned, the strictest first."""

_FIRST = LADDER.index(0.88)
"""The rung that is to be earned before wider ones are tried."""

_ORDERS = ((tuple(range(_FIRST, len(LADDER))), 0.8), ((4, 2, 1, 0), 0.2))
"""The orders in which rungs are tried, each with its share of alpha: from .88 on to wider ones, and from .90 to stricter."""

_BETS = ((0.92, 0.2), (0.75, 0.4), (0.5, 0.4))
"""By how much of the limit the shares of wrong hits that are bet on stay under it, with their weights."""

_RIGHT, _WRONG = bet.cell(1, 1), bet.cell(1, 0)

_DRIFT = 2.5
"""The bet on drift is on a share this many times the limit."""


@dataclass(frozen=True, slots=True)
class Promise:
    """At most `max_error` of the hits are wrong, with this confidence. While the route learns, `pace` is the share of would-be
    hits that are compared, until `shadowed` of them were; `audit` is the share that still is from then on."""

    max_error: float = 0.05
    confidence: float = 0.95
    shadowed: int = 330
    pace: float = 0.25
    audit: float = 0.01

    @property
    def floor(self) -> float:
        """No would-be hit scores less."""
        return LADDER[-1]


class Choice(Enum):
    """What becomes of a would-be hit."""

    SERVE = "serve"
    COMPARE = "compare"
    PASS = "pass"


class State(msgspec.Struct):
    """What was learnt, to be kept and read back: for each band of the ladder, the comparisons that were right and wrong, `wide_…`
    those since hits of all scores are compared; for each rung, the bet on drift. `labels` counts the comparisons since the route
    began to learn."""

    right: list[int]
    wrong: list[int]
    drift: list[float]
    earned: list[bool]
    labels: int = 0
    learning: bool = True
    is_wide: bool = False
    wide_right: list[int] = msgspec.field(default_factory=lambda: [0] * len(LADDER))
    wide_wrong: list[int] = msgspec.field(default_factory=lambda: [0] * len(LADDER))
    served: int = 0
    compared: int = 0
    found_wrong: int = 0
    lost: int = 0


def fresh() -> State:
    size = len(LADDER)
    return State([0] * size, [0] * size, [0.0] * size, [False] * size)


class Earned:
    """One route's threshold. `random` gives numbers from 0 to 1 and decides what is audited."""

    def __init__(self, promise: Promise, random: Callable[[], float], state: State | None = None) -> None:
        self.promise = promise
        self.state = state if state is not None and len(state.right) == len(LADDER) else fresh()
        self._random = random

    @property
    def threshold(self) -> float | None:
        """The widest that is earned; None while nothing may be served."""
        rung = _widest(self.state.earned)
        return None if rung is None else LADDER[rung]

    def choose(self, score: float) -> Choice:
        """For a candidate that the guard let pass."""
        if score < (self.promise.floor if self.state.is_wide else LADDER[_FIRST]):
            return Choice.PASS
        rate = self.promise.pace if self.state.learning else self.promise.audit
        if self._random() < rate:
            return Choice.COMPARE
        threshold = self.threshold
        if threshold is None or score < threshold:
            return Choice.PASS
        self.state.served += 1
        return Choice.SERVE

    def learn(self, score: float, *, right: bool) -> None:
        """What a comparison showed. Only for those that `choose` asked for: others are no fair draw."""
        band = _band(score)
        if band is None:
            return
        state = self.state
        (state.right if right else state.wrong)[band] += 1
        if state.is_wide:
            (state.wide_right if right else state.wide_wrong)[band] += 1
        state.labels += 1
        state.compared += 1
        state.found_wrong += not right
        self._watch(band, right=right)
        self._earn()
        if state.learning and (state.earned[-1] or state.labels >= self.promise.shadowed):
            state.learning = False
        state.is_wide = state.is_wide or state.earned[_FIRST] or not state.learning

    def report(self, score: float) -> None:
        """A served hit was said to be wrong. It weighs as one that an audit found, though only wrong ones are reported: so it
        can take a threshold away, and never give one."""
        band = _band(score)
        if band is not None:
            self.state.found_wrong += 1
            self._watch(band, right=False)

    def bound(self, threshold: float) -> float:
        """The share of wrong hits that the hits at this threshold stay under, with the promise's confidence, at any time."""
        right, wrong = self.counts(threshold)
        return upper_bound(right, wrong, 1 - self.promise.confidence)

    def counts(self, threshold: float) -> tuple[int, int]:
        """The comparisons that count at this threshold, since it was last lost: right and wrong ones."""
        state = self.state
        right, wrong = state.right, state.wrong
        if threshold < LADDER[_FIRST]:
            right, wrong = state.wide_right, state.wide_wrong
        bands = [place for place, least in enumerate(LADDER) if least >= threshold]
        return sum(right[place] for place in bands), sum(wrong[place] for place in bands)

    def _earn(self) -> None:
        alpha = 1 - self.promise.confidence
        for order, share in _ORDERS:
            for rung in order:
                if self.state.earned[rung]:
                    continue
                right, wrong = self.counts(LADDER[rung])
                if wealth(right, wrong, self.promise.max_error) < 1 / (share * alpha):
                    break
                self.state.earned[rung] = True

    def _watch(self, band: int, *, right: bool) -> None:
        """Moves the bets on drift of all rungs that would have served this hit, and takes back what they show to be lost."""
        limit = self.promise.max_error
        worse = min(_DRIFT * limit, (1 + limit) / 2)
        step = math.log((1 - worse) / (1 - limit)) if right else math.log(worse / limit)
        for rung in range(band, len(LADDER)):
            self.state.drift[rung] = max(0.0, self.state.drift[rung]) + step
        needed = math.log(1 / (1 - self.promise.confidence))
        lost = next((r for r in range(len(LADDER)) if self.state.earned[r] and self.state.drift[r] >= needed), None)
        if lost is not None:
            self._lose(lost)

    def _lose(self, rung: int) -> None:
        """Forgets what this rung and the wider ones were earned by. Stricter ones that were earned by themselves stay."""
        state = self.state
        kept = [place for place in range(rung) if state.earned[place]]
        state.lost += 1
        state.right, state.wrong = [0] * len(LADDER), [0] * len(LADDER)
        state.wide_right, state.wide_wrong = [0] * len(LADDER), [0] * len(LADDER)
        state.drift = [0.0] * len(LADDER)
        state.earned = [place in kept for place in range(len(LADDER))]
        if not kept:
            state.learning, state.is_wide, state.labels = True, False, 0


def wealth(right: int, wrong: int, limit: float) -> float:
    """What 1 became, bet against "each hit is wrong with a chance of `limit` or more, given all before it" (see core.bet)."""
    return math.exp(min(bet.below(_counts(right, wrong), limit, _BETS), 700.0))


def upper_bound(right: int, wrong: int, alpha: float) -> float:
    """The least share against which the bet has won, 1 if there is none: an upper bound that holds at all times at once."""
    return bet.upper_bound(_counts(right, wrong), alpha, _BETS)


def _counts(right: int, wrong: int) -> dict[int, int]:
    return {_RIGHT: right, _WRONG: wrong}


def _band(score: float) -> int | None:
    return next((place for place, least in enumerate(LADDER) if score >= least), None)


def _widest(earned: list[bool]) -> int | None:
    return max((place for place, is_earned in enumerate(earned) if is_earned), default=None)
