"""The score of a prompt: a linear model of its route, its category, its length, its words and its features.

What a `Score` keeps of the prompts it learned from, in memory and in its state: words, and pairs of words, that at least two
different labelled prompts have in common, in the clear, for an admin may ask why a call was scored as it was. Numbers and words
of more than 20 letters are never among them, nor is a whole prompt, nor one prompt's own words. Names of routes and categories
are kept as they were given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nlargest

from gateway.route.score.features import NAMES, Reading, Word, different, read
from gateway.route.score.prompt import Prompt

PRIOR_LOSS = 0.1
"""What is expected of a pair of models before anything is known."""
PRIOR_SLOPE = 0.03
"""What a prompt that is longer than usual by one standard deviation is expected to lose more; chosen by cross-validation."""
FARTHEST = 3.0
"""In standard deviations: what is farther out counts as this far."""
_STRONGEST = 5


@dataclass(frozen=True, slots=True)
class Usual:
    """Mean and standard deviation."""

    mean: float
    deviation: float

    def distance(self, value: float) -> float:
        return max(-FARTHEST, min(FARTHEST, (value - self.mean) / self.deviation))


@dataclass(frozen=True, slots=True)
class Column:
    """A feature that tells something: its place in NAMES, what is usual, and its weight for each standard deviation."""

    place: int
    usual: Usual
    weight: float


@dataclass(frozen=True, slots=True)
class Scored:
    """`loss` is what the weak model is expected to lose against the strong one, and the sum of the others, its parts."""

    loss: float
    mean: float
    route: float
    category: float
    length: float
    words: float
    features: float


@dataclass(frozen=True, slots=True)
class Explained:
    """The strongest words and features, each with what it adds to the loss, the strongest first."""

    scored: Scored
    words: tuple[tuple[str, float], ...]
    features: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Without labels, the default, it knows only lengths. Equal scores score equally, in any process."""

    labels: int = 0
    mean: float = PRIOR_LOSS
    slope: float = PRIOR_SLOPE
    routes: Mapping[str, float] = field(default_factory=dict)
    categories: Mapping[tuple[str, str], float] = field(default_factory=dict)
    usual_length: Usual = Usual(5.6, 1.0)
    lengths: Mapping[str, Usual] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    words: Mapping[Word, float] = field(default_factory=dict)

    def of(self, prompt: Prompt) -> Scored:
        reading = read(prompt)
        find = self.words.get
        found = [weight for word in different(reading) if (weight := find(word)) is not None]
        return self._scored(prompt, reading, sum(found), sum(self._by_feature(reading.features)))

    def explain(self, prompt: Prompt) -> Explained:
        """As `of`, with the words and the features that matter most."""
        reading = read(prompt)
        by_word = {word: self.words[word] for word in different(reading) if word in self.words}
        by_feature = self._by_feature(reading.features)
        names = [NAMES[column.place] for column in self.columns]
        return Explained(
            self._scored(prompt, reading, sum(by_word.values()), sum(by_feature)),
            _strongest([(shown(word), weight * reading.size) for word, weight in by_word.items()]),
            _strongest(zip(names, by_feature, strict=True)),
        )

    def _by_feature(self, features: list[float]) -> list[float]:
        parts = []
        for column in self.columns:
            usual = column.usual
            distance = (features[column.place] - usual.mean) / usual.deviation
            if distance > FARTHEST:
                distance = FARTHEST
            elif distance < -FARTHEST:
                distance = -FARTHEST
            parts.append(distance * column.weight)
        return parts

    def _scored(self, prompt: Prompt, reading: Reading, words: float, features: float) -> Scored:
        route = self.routes.get(prompt.route, 0.0)
        category = self.categories.get((prompt.route, prompt.category), 0.0)
        length = self.slope * self.lengths.get(prompt.route, self.usual_length).distance(reading.length)
        words *= reading.size
        return Scored(
            loss=self.mean + route + category + length + words + features,
            mean=self.mean,
            route=route,
            category=category,
            length=length,
            words=words,
            features=features,
        )


def shown(word: Word) -> str:
    return word if isinstance(word, str) else " ".join(word)


def _strongest(parts: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple(nlargest(_STRONGEST, parts, key=lambda part: abs(part[1])))
