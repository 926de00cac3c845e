"""In simulated streams a certificate is wrong as seldom as it says, and is lost soon after it is not deserved."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from gateway.core import bet
from gateway.route.certificate import drift, labels
from gateway.route.certificate.certificate import State, Status, decide, learn, verdict
from gateway.route.certificate.terms import Terms

GOOD, BAD = bet.cell(1, 1), bet.cell(1, 0)


def end(terms: Terms, loss: float, seed: int, most: int) -> tuple[Status, int]:
    """How a stream of labels with this loss ends, and after how many."""
    draw = random.Random(seed)
    state = State()
    for count in range(1, most + 1):
        cell = BAD if draw.random() < loss else GOOD
        state = decide(learn(state, terms, cell=cell, writer="w", at=1.0), terms, 1.0)
        if (status := verdict(state, terms).status) is not Status.UNCERTIFIED:
            return status, count
    return Status.UNCERTIFIED, most


def ends(terms: Terms, loss: float, *, streams: int = 60, most: int = 400) -> Counter[Status]:
    return Counter(end(terms, loss, seed, most)[0] for seed in range(streams))


def test_a_candidate_that_loses_the_very_limit_is_seldom_certified() -> None:
    """5 % of 60 streams, and three standard deviations."""
    assert ends(Terms(), 0.05)[Status.CERTIFIED] <= 8


def test_one_that_loses_twice_the_limit_is_refused_and_one_that_loses_nothing_certified() -> None:
    assert ends(Terms(), 0.15, streams=20)[Status.REFUSED] >= 18
    assert ends(Terms(), 0.0, streams=5)[Status.CERTIFIED] == 5


def test_a_judge_that_hides_losses_certifies_nothing_that_is_not_within_the_limit() -> None:
    """It takes every third bad answer for a good one: of 24 % lost it shows 16 %, where 20 % are allowed."""
    assert ends(Terms(max_loss=0.2), 0.16, streams=10, most=800)[Status.CERTIFIED] >= 5
    assert ends(Terms(max_loss=0.2, judge_error=1 / 3), 0.16, streams=30)[Status.CERTIFIED] <= 3


def test_a_judge_that_blames_good_answers_refuses_nothing_for_that() -> None:
    assert ends(Terms(judge_error=0.1), 0.1, streams=30)[Status.REFUSED] == 0
    assert ends(Terms(), 0.1, streams=30)[Status.REFUSED] > 0


def largest_bet(losses: list[float], seed: int, *, since: int = 0) -> float:
    """On drift, after any label from this one on."""
    draw = random.Random(seed)
    blocks: dict[int, Counter[int]] = {1: Counter()}
    most = 0.0
    for place, loss in enumerate(losses):
        if blocks[max(blocks)].total() >= labels.BLOCK:
            blocks[max(blocks) + 1] = Counter()
        blocks[max(blocks)][BAD if draw.random() < loss else GOOD] += 1
        if place >= since:
            most = max(most, drift.suspicion(blocks, since=1, limit=0.05, graded=False)[0])
    return most


def test_a_candidate_within_the_limit_keeps_its_certificate() -> None:
    """At the very limit 40 streams of 200 labels hold 1,000 blocks: one alarm in 100 blocks would be 10."""
    assert sum(largest_bet([0.05] * 200, seed) >= drift.REVOKES_AT for seed in range(40)) <= 5
    assert not any(largest_bet([0.02] * 200, seed) >= drift.REVOKES_AT for seed in range(20))


@pytest.mark.parametrize(("loss", "most"), [(1.0, 8), (0.4, 30), (0.2, 110)])
def test_one_that_became_worse_is_found_out_soon_however_long_it_was_good(loss: float, most: int) -> None:
    late = [seed for seed in range(10) if largest_bet([0.01] * 300 + [loss] * most, seed, since=300) < drift.REVOKES_AT]

    assert len(late) <= 2


def test_suspicion_says_from_where_on_it_became_worse() -> None:
    blocks = {number: Counter({GOOD: 8}) for number in range(1, 40)} | {40: Counter({GOOD: 4, BAD: 4})}

    most, start = drift.suspicion(blocks, since=1, limit=0.05, graded=False)

    assert start == 40
    assert most > drift.SUSPECTS_AT
    assert drift.suspicion({}, since=3, limit=0.05, graded=False) == (0.0, 3)
    assert drift.suspicion({1: Counter({GOOD: 8})}, since=1, limit=0.05, graded=False)[0] == 0.0
