"""Who decides whether a kept answer is served: this gateway, and the rules that others publish."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Protocol

import numpy as np

from bench.cache.data import Asked
from bench.cache.embedded import Embedded
from gateway.cache.semantic import decision
from gateway.cache.semantic.earned import Choice, Earned, Promise
from gateway.cache.semantic.near import Near

GPTCACHE, REDISVL = 0.60, 0.90


@dataclass(slots=True)
class Shelf:
    """The kept questions, by id."""

    embedded: Embedded
    asked: dict[str, Asked] = field(default_factory=dict)
    answers_repeat: bool = True

    def kept(self, id: str) -> decision.Kept:
        one = self.asked[id]
        answer = one.label.encode() if self.answers_repeat else None
        return decision.Kept(self.embedded.reading(one.text), answer)


class Rule(Protocol):
    """`floor` is how low a search must look. `serve` gives the id served, or None; `learn` is told of every call that was not
    answered from the cache, and says whether its answer is to be kept."""

    floor: float

    def serve(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> str | None: ...

    def learn(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> bool: ...

    @property
    def compared(self) -> int: ...

    @property
    def note(self) -> str: ...


class Static:
    """The nearest, if it is nearer than a number: GPTCache, redisvl and most others."""

    note = ""
    compared = 0

    def __init__(self, threshold: float) -> None:
        self.floor = threshold

    def serve(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> str | None:
        return found[0].id if found else None

    def learn(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> bool:
        return True


class Unproven:
    """Ours with a threshold that the admin wrote."""

    note = "unproven"
    compared = 0

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self.floor = decision.search_floor(threshold)

    def serve(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> str | None:
        reading = shelf.embedded.reading(question.text)
        made = decision.decide(reading, found, shelf.kept, floor=self._threshold, threshold=self._threshold)
        return made.near.id if made.near is not None and made.serves else None

    def learn(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> bool:
        return True


class Ours:
    """Ours with the threshold that it earns."""

    def __init__(self, promise: Promise, seed: int) -> None:
        self.earned = Earned(promise, random.Random(seed).random)
        self.floor = decision.search_floor(promise.floor)
        self._compared: Near | None = None
        self.began: int | None = None
        self._calls = 0

    def serve(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> str | None:
        self._calls += 1
        self._compared = None
        near = decision.decide(
            shelf.embedded.reading(question.text),
            found,
            shelf.kept,
            floor=self.earned.promise.floor,
            threshold=self.earned.threshold,
        ).near
        if near is None:
            return None
        choice = self.earned.choose(near.score)
        if choice is Choice.COMPARE:
            self._compared = near
        if choice is not Choice.SERVE:
            return None
        self.began = self.began or self._calls
        return near.id

    def learn(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> bool:
        if self._compared is not None:
            right = shelf.asked[self._compared.id].label == question.label
            self.earned.learn(self._compared.score, right=right)
        return True

    @property
    def compared(self) -> int:
        return self.earned.state.compared

    @property
    def note(self) -> str:
        threshold = self.earned.threshold
        told = "nothing served" if threshold is None else f"earned {threshold:.2f}, served from call {self.began}"
        return f"{told}; {self.earned.state.compared} compared, {self.earned.state.lost} lost"


class VCache:
    """The rule of vCache's paper, written anew from its description: each kept item learns a curve of how often it was right at
    which similarity, and is asked again so often that of all calls at most `delta` are answered wrongly."""

    floor = -1.0
    _FEWEST = 4
    _Z = tuple((1 - step / 51, NormalDist().inv_cdf(1 - step / 51)) for step in range(1, 51))

    def __init__(self, delta: float, seed: int) -> None:
        self._delta = delta
        self._random = random.Random(seed)
        self._seen: dict[str, list[tuple[float, bool]]] = {}
        self._fits: dict[str, tuple[int, float, float, float]] = {}

    @property
    def compared(self) -> int:
        return sum(map(len, self._seen.values()))

    @property
    def note(self) -> str:
        return f"{self.compared} compared"

    def serve(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> str | None:
        if not found or self._random.random() < self._explores(found[0]):
            return None
        return found[0].id

    def learn(self, question: Asked, found: Sequence[Near], shelf: Shelf) -> bool:
        if not found:
            return True
        right = shelf.asked[found[0].id].label == question.label
        self._seen.setdefault(found[0].id, []).append((found[0].score, right))
        return not right

    def _explores(self, near: Near) -> float:
        seen = self._seen.get(near.id, ())
        if len(seen) < self._FEWEST:
            return 1.0
        fit = self._fits.get(near.id)
        if fit is None or fit[0] != len(seen):
            fit = self._fits[near.id] = (len(seen), *_fit(seen))
        _, place, slope, spread = fit
        least = 1.0
        for sure, z in self._Z:
            right = sure / (1 + math.exp(-max(-50.0, min(50.0, slope * (near.score - min(1.0, place + z * spread))))))
            least = min(least, 1 - self._delta / max(1 - right, 1e-9))
        return max(0.0, least)


def _fit(seen: Sequence[tuple[float, bool]]) -> tuple[float, float, float]:
    """Logistic regression by Newton's method: the similarity at which right and wrong are alike, the slope, and the first's
    standard deviation. Two anchors, (0, wrong) and (1, right), are counted as observations.

    Where a line parts right from wrong the curve has no steepest form, and a small ridge keeps it finite; for the deviation its
    authors then take a table by the number of observations, of about a fifth over that number, a hundredth at the least.
    """
    scores = np.array([score for score, _ in seen] + [0.0, 1.0])
    y = np.array([float(right) for _, right in seen] + [0.0, 1.0])
    x = np.column_stack([np.ones_like(scores), scores])
    weights = np.zeros(2)
    ridge = np.eye(2) * 1e-4
    information = ridge
    for _ in range(40):
        chance = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        information = (x * (chance * (1 - chance))[:, None]).T @ x + ridge
        step = np.linalg.solve(information, x.T @ (y - chance) - ridge @ weights)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-6:
            break
    offset, slope = float(weights[0]), max(float(weights[1]), 1e-3)
    place = min(1.0, max(0.0, -offset / slope))
    if scores[y == 1].min() > scores[y == 0].max():
        return place, slope, math.sqrt(max(0.2 / len(scores), 0.01))
    gradient = np.array([-1 / slope, offset / slope**2])
    return place, slope, math.sqrt(max(0.0, float(gradient @ np.linalg.inv(information) @ gradient)))
