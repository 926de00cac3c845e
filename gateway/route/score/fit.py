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
from itertools import islice
from statistics import fmean
from typing import TypeVar

from gateway.route.score.features import NAMES, Reading, Word, read
from gateway.route.score.prompt import Label
from gateway.route.score.ridge import Dense, Sparse, solve
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
    readings = [read(label.prompt) for label in labels]
    usual_length, lengths = _usual_lengths(labels, readings)
    distances = [lengths[label.prompt.route].distance(one.length) for label, one in zip(labels, readings, strict=True)]
    columns = _columns(readings)
    vocabulary = _vocabulary(labels, readings)
    routes = _numbered(label.prompt.route for label in labels)
    categories = _numbered((label.prompt.route, label.prompt.category) for label in labels)
    ones = [1.0] * len(labels)

    mean_block = Sparse([(0,)] * len(labels), ones, 1, _MEAN)
    route_block = Sparse([(routes[label.prompt.route],) for label in labels], ones, len(routes), _ROUTE)
    category_block = Sparse(
        [(categories[label.prompt.route, label.prompt.category],) for label in labels], ones, len(categories), _CATEGORY
    )
    word_block = Sparse(
        [[vocabulary[word] for word in _different(one) if word in vocabulary] for one in readings],
        [one.size for one in readings],
        len(vocabulary),
        _WORDS,
    )
    feature_block = Dense(
        [[column.usual.distance(one.features[column.place]) for column in columns] for one in readings],
        _FEATURES / max(len(columns), 1),
    )
    length_block = Dense([[distance] for distance in distances], _LENGTH)
    blocks = (mean_block, route_block, category_block, word_block, feature_block, length_block)

    losses = [max(-1.0, min(1.0, label.loss)) for label in labels]
    targets = [loss - PRIOR_LOSS - PRIOR_SLOPE * distance for loss, distance in zip(losses, distances, strict=True)]
    alpha = solve(blocks, targets, _NOISE + _NOISE_OF_FEW / len(labels))
    mean, by_route, by_category, by_word, by_feature, by_length = (_rounded(block.weights(alpha)) for block in blocks)
    return Score(
        labels=len(labels),
        mean=PRIOR_LOSS + mean[0],
        slope=PRIOR_SLOPE + by_length[0],
        routes=dict(zip(routes, by_route, strict=True)),
        categories=dict(zip(categories, by_category, strict=True)),
        usual_length=usual_length,
        lengths=lengths,
        columns=tuple(
            Column(column.place, column.usual, weight) for column, weight in zip(columns, by_feature, strict=True)
        ),
        words={word: weight for word, weight in zip(vocabulary, by_word, strict=True) if weight},
    )


def _usual_lengths(labels: Sequence[Label], readings: Sequence[Reading]) -> tuple[Usual, dict[str, Usual]]:
    """Of all prompts, and of each route's."""
    by_route: dict[str, list[float]] = {}
    for label, one in zip(labels, readings, strict=True):
        by_route.setdefault(label.prompt.route, []).append(one.length)
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
    assert len(columns) <= len(NAMES)
    return columns


def _vocabulary(labels: Sequence[Label], readings: Sequence[Reading]) -> dict[Word, int]:
    """The words that at least two different prompts have; of too many the most frequent, and of those the first that came."""
    different = {label.prompt.text: one for label, one in zip(labels, readings, strict=True)}
    prompts = Counter(word for one in different.values() for word in _different(one))
    kept = (word for word, count in prompts.most_common() if count >= _FEWEST_PROMPTS and not _is_secret(word))
    return {word: place for place, word in enumerate(islice(kept, _MOST_WORDS))}


def _is_secret(word: Word) -> bool:
    """A key, a token or the like, by its length."""
    return max(map(len, (word,) if isinstance(word, str) else word)) > _LONGEST_WORD


def _different(reading: Reading) -> Iterable[Word]:
    return (*reading.words, *dict.fromkeys(reading.pairs))


def _numbered(names: Iterable[_Name]) -> dict[_Name, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _rounded(weights: Iterable[float]) -> list[float]:
    return [round(weight, _DIGITS) for weight in weights]
