"""Whether a candidate has become worse since it was certified, told from the labels that came after.

From the start of each block on, a bet against "the loss is within the limit" begins with a stake of 1. If that is so, the sum of
all stakes grows by one with each start and by nothing else, on average; so it takes at least 1/x starts, on average, until the
largest reaches 1/x, however the labels fall (the argument of Shiryaev and Roberts; Shin, Ramdas and Rinaldo, E-detectors,
2024). What was good long ago does not hide what is bad now: the bets that began lately do not know it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gateway.core import bet

REVOKES_AT = math.log(100)
"""Of the largest bet: a candidate whose loss is the very limit is revoked after 100 blocks at the soonest, on average."""
SUSPECTS_AT = math.log(4)
"""From here on labels should be drawn more often, to know soon."""


def suspicion(blocks: Mapping[int, Mapping[int, int]], *, since: int, limit: float, graded: bool) -> tuple[float, int]:
    """The logarithm of the largest bet, and the block with which it began; (0, `since`) without labels."""
    numbers = sorted((block for block in blocks if block >= since), reverse=True)
    stakes = bet.above_of_each((blocks[block] for block in numbers), limit, graded=graded)
    most, start = max(zip(stakes, numbers, strict=True), default=(0.0, since))
    return (most, start) if most > 0 else (0.0, since)
