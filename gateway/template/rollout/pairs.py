"""Makes pairs of what calls of two versions came to, each of which tells about a bound whether it is kept.

Calls are drawn at random for one version or the other, so those that come about the same time differ by nothing else. A pair is
made as soon as both versions have had a call since the last one: of the mean of the calls of each. So what changes with time,
such as a provider's bad hour, is the same in both, and no call is in two pairs.

- Shares (errors, bad feedback): the new version's share, less what the bound allows. On average that is 0 at most while the
  share itself keeps the bound.
- Amounts (latency, cost), which may be a hundred times larger than the last: the logarithm of the ratio of each call of the one
  to each of the other, less the bound's, cut at a factor of eight both ways. It is 0 at most on average while the new version's
  amounts, divided by the bound, are no larger in distribution. That tells of the typical call, and little of rare large ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.template.rollout.bounds import Limit, Measure, StepBack

FACTOR = math.log(8)
"""Where the logarithm of a ratio is cut."""
WAITING = 64
"""Calls of one version that wait for one of the other's; of more, the oldest are left out."""
_SHARES = frozenset({Measure.ERRORS, Measure.FEEDBACK})


@dataclass(slots=True)
class Waiting:
    """Values of either version, since the last pair."""

    current: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)


class Pairs:
    """Of one new version and the current one, as far as this worker sees them."""

    def __init__(self, bounds: StepBack) -> None:
        self._limits: Mapping[Measure, Limit] = dict(bounds.limits())
        self._waiting = {measure: Waiting() for measure in self._limits}

    def add(self, measure: Measure, value: float, *, is_new: bool) -> float | None:
        """What one call came to: a share from 0 to 1, or an amount above 0. The pair that it makes, from -1 to 1, if it does."""
        limit = self._limits.get(measure)
        if limit is None:
            return None
        waiting = self._waiting[measure]
        side = waiting.new if is_new else waiting.current
        side.append(value)
        del side[:-WAITING]
        if not (waiting.new and waiting.current):
            return None
        pair = (_shares if measure in _SHARES else _amounts)(waiting.current, waiting.new, limit)
        waiting.new.clear()
        waiting.current.clear()
        return max(-1.0, pair)  # sums are rounded


def _shares(current: Sequence[float], new: Sequence[float], limit: Limit) -> float:
    excess = sum(new) / len(new) - limit.ratio * sum(current) / len(current) - limit.more
    return excess / (limit.ratio + limit.more)


def _amounts(current: Sequence[float], new: Sequence[float], limit: Limit) -> float:
    less = math.log(limit.ratio)
    ours = [math.log(each) for each in current]
    ratios = [math.log(value) - less - each for value in new for each in ours]
    return sum([max(-FACTOR, min(FACTOR, ratio)) for ratio in ratios]) / (len(ratios) * FACTOR)
