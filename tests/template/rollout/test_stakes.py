from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest

from gateway.template.rollout import stakes


def _sums(pairs: list[float]) -> list[float]:
    return [sum(column) for column in zip(stakes.NOTHING, *(stakes.won(pair) for pair in pairs), strict=True)]


def test_a_stake_begins_at_one() -> None:
    assert stakes.stake(stakes.NOTHING) == pytest.approx(0)


def test_the_whole_stake_is_divided_among_the_fractions() -> None:
    assert sum(weight for _, weight in stakes.FRACTIONS) == pytest.approx(1)


def test_a_fair_game_gives_back_one_on_average() -> None:
    outcomes = [math.exp(stakes.stake(_sums(list(pairs)))) for pairs in product((-1.0, 1.0), repeat=6)]

    assert sum(outcomes) / len(outcomes) == pytest.approx(1)


def test_the_order_of_the_pairs_does_not_matter() -> None:
    pairs = [Random(3).uniform(-1, 1) for _ in range(50)]

    assert stakes.stake(_sums(pairs)) == pytest.approx(stakes.stake(_sums(pairs[::-1])))


def test_what_two_workers_saw_is_added_up() -> None:
    pairs = [0.5, -0.2, 0.9, 0.1]
    apart = [one + other for one, other in zip(_sums(pairs[:2]), _sums(pairs[2:]), strict=True)]

    assert stakes.stake(apart) == pytest.approx(stakes.stake(_sums(pairs)))


def test_a_pair_below_minus_one_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 at least"):
        stakes.won(-1.1)
