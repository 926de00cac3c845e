"""From labelled prompts to a score.

One ridge regression of the loss on all parts at once, so that no part explains what another one has explained: routes,
categories within them, words, features, and the length within a route. The length begins at its prior slope, so that a few
labels start where none ended. Prior variances were chosen by cross-validation on public evaluations (`python -m
bench.routing`), where a factor of two hardly matters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from statistics import fmean
from typing import TypeVar

from gateway.route.score.features import Reading, Word, different, read
from gateway.route.score.prompt import Label, Prompt
from gateway.route.score.ridge import Block, Dense, Sparse, solve
from gateway.route.score.score import PRIOR_LOSS, PRIOR_SLOPE, Column, Score, Usual

_Name = TypeVar("_Name", bound=Hashable)

MOST_LABELS = 1_000
_MOST_WORDS = 20_000
_FEWEST_PROMPTS = 2
"""A word that fewer prompts have is not kept."""

_LONGEST_WORD = 20
"""In letters or digits: a longer one is not kept."""

_MEAN = 1.0
_ROUTE = 0.01
_CATEGORY = 0.01
_WORDS = 0.015
_FEATURES = 0.003
_LENGTH = 0.0005
_NOISE = 0.2
_NOISE_OF_FEW = 10.0
"""The variance of noise is greater by this, divided by the number of labels: few of them are believed less."""
_PRIOR_LABELS = 5
"""How many labels what is usual everywhere counts for, against a route's own."""
_LEAST_VARIANCE = 0.02
_DIGITS = 7


def fit(labels: Sequence[Label], *, most: int = MOST_LABELS) -> Score:
    """Learns from the last `most`; takes about half a second of CPU for 1,000 of usual length, and awaits nothing: call it in a
    thread.

    `labels` are in order of age, the newest last; one whose loss is not a number is passed over. The same labels give the same
    score.
    """
    labels = [label for label in labels if math.isfinite(label.loss)][-most:]
    if not labels:
        return Score()
    design = _design(labels)
    losses = [max(-1.0, min(1.0, label.loss)) for label in labels]
    targets = [
        loss - PRIOR_LOSS - PRIOR_SLOPE * distance for loss, distance in zip(losses, design.distances, strict=True)
    ]
    blocks = _blocks(design)
    alpha = solve(blocks, targets, _NOISE + _NOISE_OF_FEW / len(labels))
    mean, by_route, by_category, by_length, by_word, by_feature = (_rounded(block.weights(alpha)) for block in blocks)
    return Score(
        labels=len(labels),
        mean=PRIOR_LOSS + mean[0],
        slope=PRIOR_SLOPE + by_length[0],
        routes=dict(zip(design.routes, by_route, strict=True)),
        categories=dict(zip(design.categories, by_category, strict=True)),
        usual_length=design.usual_length,
        lengths=design.lengths,
        columns=tuple(
            replace(column, weight=weight) for column, weight in zip(design.columns, by_feature, strict=True)
        ),
        words={word: weight for word, weight in zip(design.vocabulary, by_word, strict=True) if weight},
    )


@dataclass(frozen=True, slots=True)
class _Design:
    """What tells the labels' prompts from each other: `routes`, `categories` and `vocabulary` have the number of each name;
    `distances` are those of the prompts' lengths from what is usual in their routes."""

    prompts: list[Prompt]
    readings: list[Reading]
    routes: dict[str, int]
    categories: dict[tuple[str, str], int]
    usual_length: Usual
    lengths: dict[str, Usual]
    distances: list[float]
    vocabulary: dict[Word, int]
    columns: list[Column]


def _design(labels: Sequence[Label]) -> _Design:
    prompts = [label.prompt for label in labels]
    readings = [read(prompt) for prompt in prompts]
    usual_length, lengths = _usual_lengths(prompts, readings)
    return _Design(
        prompts=prompts,
        readings=readings,
        routes=_numbered(prompt.route for prompt in prompts),
        categories=_numbered((prompt.route, prompt.category) for prompt in prompts),
        usual_length=usual_length,
        lengths=lengths,
        distances=[lengths[prompt.route].distance(one.length) for prompt, one in zip(prompts, readings, strict=True)],
        vocabulary=_vocabulary(prompts, readings),
        columns=_columns(readings),
    )


def _blocks(design: _Design) -> tuple[Block, ...]:
    """Mean, routes, categories, length, words, features."""
    routes, categories, vocabulary = design.routes, design.categories, design.vocabulary
    ones = [1.0] * len(design.prompts)
    words = [[vocabulary[word] for word in different(one) if word in vocabulary] for one in design.readings]
    distances = [
        [column.usual.distance(one.features[column.place]) for column in design.columns] for one in design.readings
    ]
    return (
        Sparse([(0,)] * len(ones), ones, 1, _MEAN),
        Sparse([(routes[prompt.route],) for prompt in design.prompts], ones, len(routes), _ROUTE),
        Sparse(
            [(categories[prompt.route, prompt.category],) for prompt in design.prompts],
            ones,
            len(categories),
            _CATEGORY,
        ),
        Dense([[distance] for distance in design.distances], _LENGTH),
        Sparse(words, [one.size for one in design.readings], len(vocabulary), _WORDS),
        Dense(distances, _FEATURES / max(len(design.columns), 1)),
    )


def _usual_lengths(prompts: Sequence[Prompt], readings: Sequence[Reading]) -> tuple[Usual, dict[str, Usual]]:
    """Of all prompts, and of each route's."""
    by_route: dict[str, list[float]] = {}
    for prompt, one in zip(prompts, readings, strict=True):
        by_route.setdefault(prompt.route, []).append(one.length)
    everywhere = _usual([one.length for one in readings], Score().usual_length)
    return everywhere, {route: _usual(lengths, everywhere) for route, lengths in by_route.items()}


def _usual(values: Sequence[float], prior: Usual) -> Usual:
    """Of these values and as many more of the prior's kind as a prior is worth."""
    count = len(values) + _PRIOR_LABELS
    mean = (sum(values) + _PRIOR_LABELS * prior.mean) / count
    square = sum((value - mean) ** 2 for value in values) + _PRIOR_LABELS * prior.deviation**2
    return Usual(round(mean, _DIGITS), round(math.sqrt(square / count + 1e-6), _DIGITS))


def _columns(readings: Sequence[Reading]) -> list[Column]:
    """The features that differ at all, as yet without weights."""
    columns = []
    for place, values in enumerate(zip(*(one.features for one in readings), strict=True)):
        if min(values) < max(values):
            mean = fmean(values)
            variance = fmean([(value - mean) ** 2 for value in values]) + _LEAST_VARIANCE / len(values)
            columns.append(Column(place, Usual(round(mean, _DIGITS), round(math.sqrt(variance), _DIGITS)), 0.0))
    return columns


def _vocabulary(prompts: Sequence[Prompt], readings: Sequence[Reading]) -> dict[Word, int]:
    """The words that at least two different prompts have; of too many the most frequent, and of those the first that came."""
    by_text = {prompt.text: one for prompt, one in zip(prompts, readings, strict=True)}
    found = Counter(word for one in by_text.values() for word in different(one))
    several = [(word, count) for word, count in found.items() if count >= _FEWEST_PROMPTS]
    several.sort(key=itemgetter(1), reverse=True)  # after most have gone: a sort holds the interpreter
    kept = (word for word, _ in several if not _is_secret(word))
    return {word: place for place, word in enumerate(islice(kept, _MOST_WORDS))}


def _is_secret(word: Word) -> bool:
    """A key, a token or the like, by its length."""
    return max(map(len, (word,) if isinstance(word, str) else word)) > _LONGEST_WORD


def _numbered(names: Iterable[_Name]) -> dict[_Name, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _rounded(weights: Iterable[float]) -> list[float]:
    return [round(weight, _DIGITS) for weight in weights]
