"""Bets that a new version is worse than a bound allows, so that one may look after each call.

A pair is a number of -1 at least, which is 0 at most on average while the new version keeps its bound. A stake of 1 becomes 1 +
fraction x pair with each: a non-negative supermartingale, so that the chance that it ever grows to 1/alpha is alpha at most
(Ville's inequality; Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, 2024). The stake is
divided among fractions that were fixed beforehand. What is kept of each is the logarithm of what it became, which is a sum over
pairs: what several workers saw is added up, in any order.

core.bet keeps counts of hundredths instead, as it asks for bounds under limits that are not known beforehand. Here the limit is
known, pairs have any value, and eight sums are less than thousands of cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

FRACTIONS = ((0.02, 0.05), (0.05, 0.1), (0.1, 0.15), (0.2, 0.2), (0.35, 0.2), (0.55, 0.15), (0.8, 0.1), (0.95, 0.05))
"""Each with its part of the stake."""

NOTHING = (0.0,) * len(FRACTIONS)
"""The sums before the first pair."""

Sums = Sequence[float]
"""For each fraction the logarithm of what a stake of 1 on it became."""


def won(pair: float) -> tuple[float, ...]:
    """What a pair adds to the sums. Raises ValueError for one that is less than -1."""
    if not pair >= -1:
        raise ValueError(f"A pair is -1 at least, and not {pair!r}.")
    return tuple([math.log1p(fraction * pair) for fraction, _ in FRACTIONS])


def stake(sums: Sums) -> float:
    """The logarithm of what the whole stake of 1 became."""
    most = max(sums)
    parts = [weight * math.exp(each - most) for each, (_, weight) in zip(sums, FRACTIONS, strict=True)]
    return most + math.log(sum(parts))
