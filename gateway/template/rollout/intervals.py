"""The figures of one version, each with the interval in which it lies with 95 % confidence.

An interval is for whoever looks once. The verdict on a rollout does not rest on them: see evidence.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from gateway.template.rollout.tally import Sum, Tally, middle

_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Figure:
    """`low` and `high` are the ends of the interval; all None where nothing is known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    def told(self, digits: int = 4) -> Mapping[str, float | None]:
        """With so many significant digits."""
        named = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if each is None else float(f"{each:.{digits}g}") for name, each in named.items()}


def share(part: int, whole: int) -> Figure:
    """Wilson's interval (1927), which holds for few calls and for none that failed, too."""
    if not whole:
        return Figure()
    found, square = part / whole, _Z * _Z
    centre = (found + square / (2 * whole)) / (1 + square / whole)
    half = _Z / (1 + square / whole) * math.sqrt(found * (1 - found) / whole + square / (4 * whole * whole))
    return Figure(found, max(0.0, min(found, centre - half)), min(1.0, max(found, centre + half)))


def mean(of: Sum) -> Figure:
    """By the normal distribution; of fewer than two numbers there is no interval."""
    if not of.n:
        return Figure()
    found = of.total / of.n
    if of.n < 2:
        return Figure(found)
    half = _Z * math.sqrt(max(0.0, of.squares - of.n * found * found) / (of.n - 1) / of.n)
    return Figure(found, max(0.0, found - half), found + half)


def percentile(counts: Mapping[int, int], wanted: float) -> Figure:
    """Milliseconds that this share of the calls does not exceed. The ends are the calls between which it lies, by their ranks."""
    numbers = sorted(counts)
    ranks = list(accumulate(counts[number] for number in numbers))
    if not ranks:
        return Figure()
    whole = ranks[-1]
    half = _Z * math.sqrt(whole * wanted * (1 - wanted))
    places = (wanted * whole, wanted * whole - half, wanted * whole + half + 1)
    value, low, high = (_at(numbers, ranks, place) for place in places)
    return Figure(value, low if places[1] >= 1 else None, high if places[2] <= whole else None)


def figures(tally: Tally) -> Mapping[str, Figure]:
    """By name; money in nano-USD. What is known of a call that a cache answered is left out, but for `cache_hits`."""
    asked = tally.calls - tally.hits
    return {
        "errors": share(tally.errors, asked),
        "latency_p50_ms": percentile(tally.latency, 0.5),
        "latency_p95_ms": percentile(tally.latency, 0.95),
        "cost_nano_usd": mean(tally.cost),
        "input_tokens": mean(tally.input),
        "output_tokens": mean(tally.output),
        "cache_hits": share(tally.hits, tally.calls),
        "feedback": share(tally.good, tally.rated),
    }


def _at(numbers: Sequence[int], ranks: Sequence[int], place: float) -> float:
    return middle(numbers[min(len(numbers) - 1, bisect_left(ranks, max(1.0, place)))])
