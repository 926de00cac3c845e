"""Bets on a candidate's loss: fair under what they bet against, and the same whatever the order of labels."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import bet

WON = math.log(1 / 0.05)

qualities = st.integers(0, 100).map(lambda hundredths: hundredths / 100)
limits = st.floats(0.005, 0.9)
counts = st.dictionaries(st.builds(bet.cell, qualities, qualities), st.integers(1, 300), max_size=6)


@given(qualities, qualities)
def test_a_cell_holds_both_qualities(reference: float, candidate: float) -> None:
    assert bet.qualities(bet.cell(reference, candidate)) == (reference, candidate)


def test_qualities_between_two_cells_are_rounded_against_the_candidate() -> None:
    assert bet.qualities(bet.cell(0.501, 0.509)) == (0.51, 0.5)


@pytest.mark.parametrize(("reference", "candidate"), [(1.1, 1.0), (1.0, -0.1), (math.nan, 1.0), (1.0, math.nan)])
def test_what_is_no_quality_is_no_label(reference: float, candidate: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        bet.cell(reference, candidate)


@given(limits, qualities, qualities)
def test_at_the_limit_a_label_changes_no_stake_on_average(limit: float, reference: float, better: float) -> None:
    """A mix of labels whose loss is the limit: the reference is as good as can be, the candidate `better` or nothing."""
    share = (1 - limit) / max(better, 1 - limit)
    better = max(better, 1 - limit)
    one, other = {bet.cell(1, better): 1}, {bet.cell(1, 0): 1}
    exact = 1 - (share * bet.qualities(bet.cell(1, better))[1])  # what rounding left of it

    below = share * math.exp(bet.below(one, exact)) + (1 - share) * math.exp(bet.below(other, exact))
    assert below == pytest.approx(1)
    above = share * math.exp(bet.above(one, exact, graded=False)) + (1 - share) * math.exp(
        bet.above(other, exact, graded=False)
    )
    assert above == pytest.approx(1)


@given(counts, limits)
def test_a_stake_grows_or_falls_with_the_limit_one_way(labels: dict[int, int], limit: float) -> None:
    assert bet.below(labels, limit) <= bet.below(labels, min(limit * 1.3, 0.95)) + 1e-9
    assert bet.above(labels, limit, graded=True) >= bet.above(labels, min(limit * 1.3, 0.95), graded=True) - 1e-9


@given(counts)
def test_the_bounds_hold_the_loss_that_was_seen(labels: dict[int, int]) -> None:
    seen = bet.loss(labels)
    assert bet.lower_bound(labels, 0.05, graded=True) <= max(seen, 0) + 1e-6
    assert bet.upper_bound(labels, 0.05) >= seen - 1e-6


@given(st.lists(counts, min_size=1, max_size=5), limits)
def test_parts_are_the_same_together_as_one_by_one(parts: list[dict[int, int]], limit: float) -> None:
    whole: dict[int, int] = {}
    for part in parts:
        for cell, count in part.items():
            whole[cell] = whole.get(cell, 0) + count

    *_, last = bet.above_of_each(parts, limit, graded=True)
    assert last == pytest.approx(bet.above(whole, limit, graded=True))


@pytest.mark.parametrize("graded", [False, True])
def test_looking_after_every_label_is_wrong_no_more_often_than_was_said(graded: bool) -> None:
    """At the limit itself, in 200 streams of 400 labels: 5 % of 200, and three standard deviations."""
    draw = random.Random(7)
    limit = 0.05
    kinds = [(1.0, 1.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0)] if graded else [(1.0, 1.0), (1.0, 0.0)]
    weights = [0.7, 0.1 + 0.04, 0.06, 0.1] if graded else [1 - limit, limit]
    if graded:
        limit = 0.04 / 0.84
    won_below = won_above = 0
    for _ in range(200):
        seen: dict[int, int] = {}
        below = above = -math.inf
        for reference, candidate in draw.choices(kinds, weights, k=400):
            cell = bet.cell(reference, candidate)
            seen[cell] = seen.get(cell, 0) + 1
            below = max(below, bet.below(seen, limit))
            above = max(above, bet.above(seen, limit, graded=graded))
        won_below += below >= WON
        won_above += above >= WON

    assert 0 < won_below <= 19
    assert 0 < won_above <= 19


def test_a_loss_on_either_side_of_the_limit_is_seen() -> None:
    assert bet.below({bet.cell(1, 1): 90}, 0.05) > WON
    assert bet.above({bet.cell(1, 1): 80, bet.cell(1, 0): 20}, 0.05, graded=False) > WON
    assert bet.upper_bound({}, 0.05) == 1
    assert bet.lower_bound({}, 0.05, graded=False) == pytest.approx(0, abs=1e-6)
