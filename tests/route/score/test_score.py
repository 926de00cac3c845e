"""A score and its parts."""

from __future__ import annotations

import math
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.route.score.features import NAMES
from gateway.route.score.fit import fit
from gateway.route.score.prompt import Prompt
from gateway.route.score.score import Score
from tests.route.score.pairs import planted

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
"""Lone surrogates too."""
LEARNED = fit(planted(200))


@settings(deadline=None)
@given(text=ANY_TEXT, route=st.sampled_from(["maths", "new"]), messages=st.integers(-1, 10**6))
def test_every_part_is_finite_and_they_add_up(text: str, route: str, messages: int) -> None:
    for score in (Score(), LEARNED):
        loss, *parts = astuple(score.of(Prompt(text, route, "plain", messages)))

        assert math.isfinite(loss)
        assert loss == pytest.approx(sum(parts))


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_an_explanation_is_of_the_very_score(text: str) -> None:
    prompt = Prompt(text, "maths", "plain")

    explained = LEARNED.explain(prompt)

    assert explained.scored == LEARNED.of(prompt)
    assert {name for name, _ in explained.features} <= set(NAMES)


def test_an_explanation_names_the_words_that_matter_most() -> None:
    explained = LEARNED.explain(Prompt("a contour integral in our gardens", "maths", "plain"))

    weights = dict(explained.words)
    assert weights["integral"] > 0 > weights["gardens"]
    assert [*map(abs, weights.values())] == sorted(map(abs, weights.values()), reverse=True)
    assert sum(weights.values()) == pytest.approx(explained.scored.words, abs=0.1)


@pytest.mark.parametrize("text", ["", "word " * 2_000_000, "1" * 10**7, "\ud800" * 5_000, "İ" * 5_000, "漢字" * 5_000])
def test_texts_of_any_size_and_script_are_scored(text: str) -> None:
    assert math.isfinite(LEARNED.of(Prompt(text)).loss)


def test_a_route_that_is_not_known_has_no_part() -> None:
    scored = LEARNED.of(Prompt("a contour integral", "new", "new"))

    assert scored.route == scored.category == 0
    assert scored.words > 0
