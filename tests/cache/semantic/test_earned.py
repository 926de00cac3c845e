"""A threshold is served only once it is earned, and lost as soon as it is not deserved."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.semantic.earned import LADDER, Choice, Earned, Promise, State, fresh, upper_bound, wealth

EAGER = Promise(pace=1.0, audit=1.0, shadowed=300)


def earned(promise: Promise = EAGER, *, seed: int = 1, state: State | None = None) -> Earned:
    return Earned(promise, random.Random(seed).random, state)


def teach(route: Earned, times: int, score: float = 0.91, *, right: bool = True) -> None:
    for _ in range(times):
        route.learn(score, right=right)


def test_nothing_is_served_before_anything_was_learnt() -> None:
    route = earned(Promise(pace=0.0))

    assert route.threshold is None
    assert route.choose(1.0) is Choice.PASS


def test_would_be_hits_are_compared_while_the_route_learns() -> None:
    assert earned().choose(0.91) is Choice.COMPARE
    assert earned().choose(0.79) is Choice.PASS


def test_farther_hits_are_compared_once_the_nearer_are_earned_which_are_served_from_then_on() -> None:
    route = Earned(Promise(pace=0.5, shadowed=400), iter([0.4, 0.4, 0.6, 0.6] * 2).__next__)
    assert route.choose(0.85) is Choice.PASS
    teach(route, 100)

    assert route.threshold == 0.88
    assert [route.choose(score) for score in (0.85, 0.91, 0.91, 0.85)] == [
        *(Choice.COMPARE, Choice.COMPARE, Choice.SERVE, Choice.PASS)
    ]


def test_what_the_nearer_hits_showed_first_does_not_count_for_the_farther() -> None:
    route = earned(Promise(pace=1.0, shadowed=400))
    teach(route, 100)
    before = route.counts(0.80)
    teach(route, 20)

    assert route.threshold == 0.88
    assert route.counts(0.88)[0] == 120
    assert route.counts(0.80)[0] == before[0] + 20 < 100


def test_what_is_right_again_and_again_is_earned() -> None:
    route = earned(Promise(pace=1.0, audit=0.0, shadowed=200))
    teach(route, 200)

    assert route.threshold == min(LADDER)
    assert route.choose(0.91) is Choice.SERVE


def test_a_rung_is_earned_by_the_hits_it_would_serve_and_not_by_stricter_ones_alone() -> None:
    route = earned(Promise(pace=1.0, audit=0.0, shadowed=400))
    for score, right in [(0.91, True)] * 150 + [(0.81, False)] * 20:
        route.learn(score, right=right)
    teach(route, 230, 0.97)

    assert route.threshold is not None
    assert route.threshold > 0.81
    assert route.choose(0.815) is Choice.PASS
    assert route.choose(0.97) is Choice.SERVE


def test_a_route_that_errs_as_often_as_forbidden_serves_nothing() -> None:
    route = earned(Promise(pace=1.0, audit=0.0, shadowed=300))
    for number in range(300):
        route.learn(0.91, right=number % 20 != 0)

    assert route.threshold is None
    assert route.choose(0.99) is Choice.PASS


def draws(share: float, seed: int, count: int = 2000) -> list[bool]:
    source = random.Random(seed)
    return [source.random() >= share for _ in range(count)]


def test_the_promise_is_broken_in_less_than_one_of_twenty_streams_however_often_one_looks() -> None:
    promise = Promise(pace=1.0, audit=1.0, shadowed=50)
    broken = 0
    for seed in range(200):
        route = earned(promise, seed=seed)
        for right in draws(promise.max_error, seed):
            route.learn(0.91, right=right)
            if route.threshold is not None:
                broken += 1
                break

    assert broken <= 10


def test_the_bound_holds_at_all_times_at_once() -> None:
    share, broken = 0.03, 0
    for seed in range(100):
        right = wrong = 0
        for is_right in draws(share, seed, 400):
            right, wrong = right + is_right, wrong + (not is_right)
            if upper_bound(right, wrong, 0.05) < share:
                broken += 1
                break

    assert broken <= 5


@given(st.integers(0, 300), st.integers(0, 30))
def test_the_bound_is_above_what_was_seen_and_more_right_answers_lower_it(right: int, wrong: int) -> None:
    bound = upper_bound(right, wrong, 0.05)

    assert bound >= wrong / max(1, right + wrong) or bound == pytest.approx(1.0)
    assert upper_bound(right + 50, wrong, 0.05) <= bound + 1e-6
    assert upper_bound(right, wrong + 1, 0.05) >= bound - 1e-6


@given(st.floats(0.01, 0.5), st.floats(0, 1))
def test_the_bet_is_fair_where_the_limit_is_reached_and_loses_where_it_is_exceeded(limit: float, more: float) -> None:
    share = limit + (1 - limit) * more
    expected = share * wealth(0, 1, limit) + (1 - share) * wealth(1, 0, limit)

    assert expected <= 1 + 1e-9
    assert wealth(0, 0, limit) == pytest.approx(1)


def test_many_labels_do_not_overflow_the_bet() -> None:
    assert wealth(10**7, 0, 0.05) > 20
    assert upper_bound(10**7, 0, 0.05) < 1e-4


def test_a_drift_takes_the_threshold_away_at_once() -> None:
    route = earned()
    teach(route, 300)
    assert route.threshold is not None

    wrong = 0
    while route.threshold is not None:
        teach(route, 1, right=False)
        wrong += 1

    assert wrong <= 5
    assert route.state.lost == 1
    assert route.state.learning


def test_what_was_lost_can_be_earned_again() -> None:
    route = earned()
    teach(route, 300)
    teach(route, 5, right=False)
    assert route.threshold is None

    teach(route, 300)
    assert route.threshold is not None


def test_a_drift_among_the_farther_hits_leaves_a_stricter_threshold_that_was_earned() -> None:
    route = earned()
    teach(route, 200, 0.91)
    teach(route, 100, 0.81)
    assert route.threshold == min(LADDER)

    teach(route, 5, 0.81, right=False)

    assert route.threshold is not None
    assert route.threshold > 0.81


def test_reports_of_wrong_hits_can_take_a_threshold_away_and_are_counted() -> None:
    route = earned()
    teach(route, 300)
    for _ in range(5):
        route.report(0.91)

    assert route.threshold is None
    assert route.state.found_wrong == 5


def test_a_share_of_the_hits_is_audited_for_good() -> None:
    route = earned(Promise(pace=1.0, audit=0.1, shadowed=100))
    teach(route, 100)
    chosen = [route.choose(0.91) for _ in range(2000)]

    assert 140 <= chosen.count(Choice.COMPARE) <= 260
    assert chosen.count(Choice.SERVE) == 2000 - chosen.count(Choice.COMPARE)
    assert route.state.served == chosen.count(Choice.SERVE)


@pytest.mark.parametrize(("taught", "score"), [(0, 0.88), (0, 0.91), (0, 0.99), (100, 0.80), (100, 0.91), (100, 0.99)])
def test_the_chance_to_be_compared_does_not_depend_on_the_score(taught: int, score: float) -> None:
    numbers: Callable[[], float] = iter([0.24, 0.26] * 8).__next__
    route = Earned(Promise(pace=0.25), numbers)
    teach(route, taught)

    assert [route.choose(score) is Choice.COMPARE for _ in range(2)] == [True, False]


def test_what_was_learnt_can_be_kept_and_read_back() -> None:
    route = earned()
    teach(route, 250)
    teach(route, 1, right=False)

    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(route.state), type=State)

    assert earned(state=kept).threshold == route.threshold
    assert earned(state=kept).bound(0.9) == route.bound(0.9)


def test_what_was_learnt_on_another_ladder_is_not_taken_over() -> None:
    assert earned(state=State([1], [0], [0.0], [True])).state == fresh()
