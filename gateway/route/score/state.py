"""A score as plain JSON values, and back: it outlives a restart, and one replica may give it to the others.

Features go by their names. A document of another version, with a feature that is not known here, or damaged, is no score: it is
learned anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gateway.route.score.features import NAMES, Word
from gateway.route.score.score import Column, Score, Usual, shown

VERSION = 1
"""Rises with any change of what is read in a prompt or of how its parts are added up."""
_PLACES = {name: place for place, name in enumerate(NAMES)}


def save(score: Score) -> dict[str, Any]:
    return {
        "version": VERSION,
        "labels": score.labels,
        "mean": score.mean,
        "slope": score.slope,
        "length": [score.usual_length.mean, score.usual_length.deviation],
        "lengths": {route: [usual.mean, usual.deviation] for route, usual in score.lengths.items()},
        "routes": dict(score.routes),
        "categories": [[route, category, weight] for (route, category), weight in score.categories.items()],
        "features": {
            NAMES[column.place]: [column.usual.mean, column.usual.deviation, column.weight] for column in score.columns
        },
        "words": {shown(word): weight for word, weight in score.words.items()},
    }


def load(document: object) -> Score | None:
    """None where the document is not one that this version has saved."""
    if not isinstance(document, dict) or document.get("version") != VERSION:
        return None
    try:
        return _read(document)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def _read(document: Mapping[str, Any]) -> Score:
    return Score(
        labels=int(document["labels"]),
        mean=_number(document["mean"]),
        slope=_number(document["slope"]),
        routes={str(route): _number(weight) for route, weight in document["routes"].items()},
        categories={(str(route), str(name)): _number(weight) for route, name, weight in document["categories"]},
        usual_length=_usual(*document["length"]),
        lengths={str(route): _usual(*usual) for route, usual in document["lengths"].items()},
        columns=tuple(
            Column(_PLACES[name], _usual(mean, deviation), _number(weight))
            for name, (mean, deviation, weight) in document["features"].items()
        ),
        words={_word(word): _number(weight) for word, weight in document["words"].items()},
    )


def _word(shown: str) -> Word:
    first, _, second = shown.partition(" ")
    return (first, second) if second else first


def _usual(mean: object, deviation: object) -> Usual:
    usual = Usual(_number(mean), _number(deviation))
    if usual.deviation <= 0:
        raise ValueError("a deviation that is not above 0")
    return usual


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a finite number")
    return float(value)
