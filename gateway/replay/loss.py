"""How much quality the calls that would have been answered by somebody else would have lost, by the trials that were made of
just that change; and how sure that is.

Each changed call was tried with a probability that its record has. Those of equal probability are a stratum, of which the
tried ones are a random sample; strata are weighed by their calls. That is inverse-propensity weighting with weights that are
known, not drawn, and needs no other bound than the labels' own: qualities are from 0 to 1, whatever the probability. The
interval of a stratum is the one that certificates rest on (core.bet), valid for any number of labels; those of several strata
share what may be wrong. Calls that could never have been tried count in it as if all, or none, of their quality were lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core import bet

ALPHA = 0.05
MOST_STRATA = 64
"""In one route; calls of further ones count as never tried."""


@dataclass(slots=True)
class Stratum:
    """Changed calls that were tried with the same probability. `sign` is -1 where they would go back to the reference, so that
    what the candidate lacks is won. `unscored` were tried, and nothing could be compared."""

    sign: int = 1
    calls: int = 0
    labels: Counter[int] = field(default_factory=Counter)
    unscored: int = 0

    @property
    def loss(self) -> float:
        return self.sign * bet.loss(self.labels)

    def merge(self, other: Stratum) -> None:
        self.calls += other.calls
        self.labels.update(other.labels)
        self.unscored += other.unscored

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Each is passed with a chance of `alpha` at most."""
        graded = any(bet.qualities(cell)[0] < 1 for cell in self.labels)
        least = -1.0 if graded else bet.lower_bound(self.labels, alpha, graded=False)
        most = bet.upper_bound(self.labels, alpha)
        return (least, most) if self.sign > 0 else (-most, -least)


@dataclass(frozen=True, slots=True)
class Loss:
    """Shares of the quality of the changed calls. `covered` is the share of them whose stratum has labels."""

    estimate: float
    lower_95: float
    upper_95: float
    covered: float


NO_LOSS = Loss(0.0, 0.0, 0.0, 1.0)


def loss_of(strata: Sequence[Stratum], changed: int) -> Loss | None:
    """Of `changed` calls, those of the strata among them; None where there is no label: it is not known."""
    if not changed:
        return NO_LOSS
    known = [each for each in strata if each.labels.total()]
    covered = sum(each.calls for each in known)
    if not covered:
        return None
    least = most = 0.0
    for each in known:
        lower, upper = each.bounds(ALPHA / 2 / len(known))
        least += each.calls * lower
        most += each.calls * upper
    rest = changed - covered
    return Loss(
        estimate=sum(each.calls * each.loss for each in known) / covered,
        lower_95=(least - rest) / changed,
        upper_95=(most + rest) / changed,
        covered=covered / changed,
    )
