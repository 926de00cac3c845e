"""Ridge regression over blocks of columns, each with its own prior variance, by conjugate gradients.

With design A, prior variances D and noise v the weights are D A' alpha, where (A D A' + v I) alpha = targets (Rasmussen &
Williams, "Gaussian Processes for Machine Learning", 2006, equation 2.25 with a linear kernel). A D A' is never formed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Protocol

_MOST_STEPS = 80
_EXACT_ENOUGH = 1e-5


class Block(Protocol):
    """Some columns of the design."""

    def weights(self, alpha: Sequence[float]) -> list[float]:
        """D A' alpha: one for each column."""
        ...

    def predict(self, weights: Sequence[float]) -> list[float]:
        """A weights: one for each row."""
        ...


class Sparse:
    """`rows` are the columns in which each row is not 0; there it is `sizes[row]`."""

    def __init__(self, rows: Sequence[Sequence[int]], sizes: Sequence[float], columns: int, variance: float) -> None:
        self._rows = rows
        self._sizes = sizes
        self._variance = variance
        self._columns: list[list[int]] = [[] for _ in range(columns)]
        for number, row in enumerate(rows):
            for column in row:
                self._columns[column].append(number)

    def weights(self, alpha: Sequence[float]) -> list[float]:
        sized = [size * each * self._variance for size, each in zip(self._sizes, alpha, strict=True)]
        return [sum([sized[row] for row in column]) for column in self._columns]

    def predict(self, weights: Sequence[float]) -> list[float]:
        rows = zip(self._rows, self._sizes, strict=True)
        return [size * sum([weights[column] for column in row]) for row, size in rows]


class Dense:
    """`rows` are all of one length."""

    def __init__(self, rows: Sequence[Sequence[float]], variance: float) -> None:
        self._rows = rows
        self._columns = [*zip(*rows, strict=True)]
        self._variance = variance

    def weights(self, alpha: Sequence[float]) -> list[float]:
        return [self._variance * sum(map(mul, column, alpha)) for column in self._columns]

    def predict(self, weights: Sequence[float]) -> list[float]:
        return [sum(map(mul, row, weights)) for row in self._rows]


def solve(blocks: Sequence[Block], targets: Sequence[float], noise: float) -> list[float]:
    """`alpha`, one for each row, from which each block makes its weights. `noise` is a variance above 0."""
    alpha = [0.0] * len(targets)
    rest = [*targets]
    direction = rest
    size = enough = sum(map(mul, rest, rest))
    for _ in range(_MOST_STEPS):
        if size <= enough * _EXACT_ENOUGH**2 or not math.isfinite(size):
            break
        turned = _turned(blocks, direction, noise)
        step = size / sum(map(mul, direction, turned))
        alpha = [each + step * along for each, along in zip(alpha, direction, strict=True)]
        rest = [each - step * along for each, along in zip(rest, turned, strict=True)]
        before, size = size, sum(map(mul, rest, rest))
        direction = [each + size / before * along for each, along in zip(rest, direction, strict=True)]
    return alpha


def _turned(blocks: Sequence[Block], direction: Sequence[float], noise: float) -> list[float]:
    parts = [block.predict(block.weights(direction)) for block in blocks]
    return [noise * each + sum(part) for each, *part in zip(direction, *parts, strict=True)]
