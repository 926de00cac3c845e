"""How much worse than the current version a new one may be before it is stepped back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Measure(Enum):
    """What two versions are compared by. In all of them, more is worse."""

    ERRORS = "errors"
    LATENCY = "latency"
    COST = "cost"
    FEEDBACK = "feedback"


@dataclass(frozen=True, slots=True)
class Limit:
    """The new version is worse where it has more than `ratio` times the current one's, and `more` on top.

    `more` is for shares alone: errors, and the share of answers that callers found bad. Raises ValueError for what bounds
    nothing.
    """

    ratio: float = 1.0
    more: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.ratio <= 100:
            raise ValueError("a ratio is from 1 to 100")
        if not 0 <= self.more < 1:
            raise ValueError("a share is from 0% to less than 100%")

    def __str__(self) -> str:
        ratio = f"{self.ratio:g}x" if self.ratio != 1 or not self.more else ""
        return ratio + (f"+{100 * self.more:g}%" if self.more else "")


def written(measure: Measure, limit: Limit) -> str:
    """As in a file, where feedback is bounded by how many fewer answers are good."""
    return str(limit).replace("+", "-") if measure is Measure.FEEDBACK else str(limit)


_WEIGHTS = {Measure.ERRORS: 2, Measure.LATENCY: 1, Measure.COST: 1, Measure.FEEDBACK: 1}
"""Parts of the chance of a false alarm: errors are rare, and need the most calls."""


@dataclass(frozen=True, slots=True)
class StepBack:
    """Bounds; None is no bound. `confidence`: a rollout of versions that are no worse than all their bounds is left alone with
    this chance at least, over its whole life and however often one looks."""

    errors: Limit | None = Limit(more=0.01)
    latency: Limit | None = Limit(ratio=1.5)
    cost: Limit | None = Limit(ratio=1.5)
    feedback: Limit | None = Limit(more=0.1)
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence <= 0.9999:
            raise ValueError("confidence is from 50% to 99.99%")

    def limits(self) -> Iterator[tuple[Measure, Limit]]:
        """The bounds that there are."""
        for measure in Measure:
            limit: Limit | None = getattr(self, measure.value)
            if limit is not None:
                yield measure, limit

    def alpha(self, measure: Measure, *, versions: int) -> float:
        """The part of the chance of a false alarm that this bound may take, where so many versions are new."""
        whole = sum(_WEIGHTS[each] for each, _ in self.limits())
        return (1 - self.confidence) * _WEIGHTS[measure] / whole / versions
