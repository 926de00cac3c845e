"""What the calls of one version came to, as sums that are added up over workers and hours."""

from __future__ import annotations

import math

import msgspec

GROWTH = math.log(1.1)
"""Each bucket of the histogram is a tenth wider than the one before."""
LAST = 160
"""Longer than an hour."""


class Sum(msgspec.Struct, array_like=True):
    """Of `n` numbers, with their squares, from which the spread of their mean is told."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def learn(self, value: float) -> None:
        self.n += 1
        self.total += value
        self.squares += value * value

    def add(self, other: Sum) -> None:
        self.n += other.n
        self.total += other.total
        self.squares += other.squares


class Tally(msgspec.Struct):
    """`errors` failed or were cut. `latency` are counts of calls that were answered, by bucket; `cost` in nano-USD; `rated` and
    `good` are what callers said. Calls answered from a cache are `hits`, and in nothing else but `calls`."""

    calls: int = 0
    errors: int = 0
    hits: int = 0
    rated: int = 0
    good: int = 0
    latency: dict[int, int] = {}
    cost: Sum = msgspec.field(default_factory=Sum)
    input: Sum = msgspec.field(default_factory=Sum)
    output: Sum = msgspec.field(default_factory=Sum)

    def learn_latency(self, ms: float) -> None:
        number = bucket(ms)
        self.latency[number] = self.latency.get(number, 0) + 1

    def add(self, other: Tally) -> None:
        for name in ("calls", "errors", "hits", "rated", "good"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for number, count in other.latency.items():
            self.latency[number] = self.latency.get(number, 0) + count
        self.cost.add(other.cost)
        self.input.add(other.input)
        self.output.add(other.output)


def bucket(ms: float) -> int:
    return min(LAST, max(0, math.ceil(math.log(ms) / GROWTH))) if ms > 1 else 0


def middle(number: int) -> float:
    """Milliseconds that stand for all of a bucket."""
    return float(f"{math.exp((number - 0.5) * GROWTH):.4g}")
