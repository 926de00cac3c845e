"""How sure labels make us that a candidate loses no more, or more, than a limit, however often one looks.

A label is a pair of qualities from 0 to 1, the reference's and the candidate's, of one request drawn at random. The candidate's
loss is the share of the reference's quality that it lacks: E[reference - candidate] / E[reference]. Two bets are kept:

- `below` bets against "the loss is `limit` or more". Each label multiplies the stake by 1 + fraction x (candidate / (1 - limit)
  - reference), which is never negative and 1 at most on average if that is so;
- `above` bets against "the loss is `limit` or less", by 1 + height x (reference - candidate / (1 - limit)).

Each is a mix of such bets with fractions that were fixed beforehand: a non-negative supermartingale under what it bets
against, so that the chance that it ever grows to 1/alpha is alpha at most (Ville's inequality; Waudby-Smith and Ramdas,
Estimating means of bounded random variables by betting, 2024). A mix of fixed fractions looks at sums alone: the order of the
labels does not matter, and so counts from several workers may be added. Both grow or fall with the limit one way, which makes
bounds of them.

Labels are counted by cells: qualities in hundredths, the reference's rounded up and the candidate's down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

Bets = tuple[tuple[float, float], ...]
"""Fractions or heights, each with its weight; weights sum to 1."""

BELOW: Bets = ((0.07, 0.05), (0.2, 0.15), (0.4, 0.25), (0.7, 0.25), (0.95, 0.3))
ABOVE: Bets = ((0.06, 0.1), (0.15, 0.15), (0.35, 0.2), (0.7, 0.2), (1.5, 0.2), (4.0, 0.15))

_STEPS = 100
_ROUNDING = 1e-9
_MOST = 0.99
"""Of the largest height that a label cannot make negative."""
_HALVINGS = 24


def cell(reference: float, candidate: float) -> int:
    """Raises ValueError for a quality that is not from 0 to 1."""
    if not (0 <= reference <= 1 and 0 <= candidate <= 1):
        raise ValueError(f"A quality is from 0 to 1, and not {reference!r} or {candidate!r}.")
    return (_STEPS + 1) * math.ceil(reference * _STEPS - _ROUNDING) + math.floor(candidate * _STEPS + _ROUNDING)


def qualities(cell: int) -> tuple[float, float]:
    """The reference's and the candidate's."""
    reference, candidate = divmod(cell, _STEPS + 1)
    return reference / _STEPS, candidate / _STEPS


def loss(counts: Mapping[int, int]) -> float:
    """The share of the reference's quality that the candidate lacked in these labels; 0 where there was none to lack."""
    pairs = [(qualities(cell), count) for cell, count in counts.items()]
    whole = sum(count * reference for (reference, _), count in pairs)
    return sum(count * (reference - candidate) for (reference, candidate), count in pairs) / whole if whole else 0.0


def below(counts: Mapping[int, int], limit: float, bets: Bets = BELOW) -> float:
    """The logarithm of what a stake of 1 became, bet against "the loss is `limit` or more"."""
    return next(_growing([counts], bets, lambda cell: _row_below(cell, limit, bets)))


def above(counts: Mapping[int, int], limit: float, *, graded: bool, bets: Bets = ABOVE) -> float:
    """The logarithm of what a stake of 1 became, bet against "the loss is `limit` or less".

    `graded`: the reference's quality may be less than 1. Where it never is, larger stakes are safe.
    """
    return next(above_of_each([counts], limit, graded=graded, bets=bets))


def above_of_each(
    parts: Iterable[Mapping[int, int]], limit: float, *, graded: bool, bets: Bets = ABOVE
) -> Iterator[float]:
    """As `above`, of the first part, of the first two together, and so on."""
    return _growing(parts, bets, lambda cell: _row_above(cell, limit, graded, bets))


def upper_bound(counts: Mapping[int, int], alpha: float, bets: Bets = BELOW) -> float:
    """The loss is under this, at all times at once, but for a chance of alpha; 1 where the labels do not say."""
    return _least(lambda limit: below(counts, limit, bets) >= math.log(1 / alpha))


def lower_bound(counts: Mapping[int, int], alpha: float, *, graded: bool) -> float:
    """The loss is over this, at all times at once, but for a chance of alpha; 0 where the labels do not say."""
    return _least(lambda limit: above(counts, limit, graded=graded) < math.log(1 / alpha)) - 0.5**_HALVINGS


def _growing(
    parts: Iterable[Mapping[int, int]], bets: Bets, row: Callable[[int], tuple[float, ...]]
) -> Iterator[float]:
    logs = _logarithms(bets)
    for counts in parts:
        for cell, count in counts.items():
            logs = [log + count * step for log, step in zip(logs, row(cell), strict=True)]
        most = max(logs)
        yield most + math.log(sum([math.exp(log - most) for log in logs]))


@lru_cache(maxsize=16)
def _logarithms(bets: Bets) -> list[float]:
    return [math.log(weight) for _, weight in bets]


@lru_cache(maxsize=4096)
def _row_below(cell: int, limit: float, bets: Bets) -> tuple[float, ...]:
    reference, candidate = qualities(cell)
    return tuple(math.log(1 + fraction * (candidate / (1 - limit) - reference)) for fraction, _ in bets)


@lru_cache(maxsize=4096)
def _row_above(cell: int, limit: float, graded: bool, bets: Bets) -> tuple[float, ...]:
    reference, candidate = qualities(cell)
    most = _MOST * (1 - limit) / (1 if graded else max(limit, 1e-6))
    return tuple(math.log(1 + min(height, most) * (reference - candidate / (1 - limit))) for height, _ in bets)


def _least(holds: Callable[[float], bool]) -> float:
    """The least limit of which it holds, rounded up; of all larger ones it holds too. 1 where there is none."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
