"""A worker knows how many calls it has at each deployment, and how soon answers from there begin."""

from __future__ import annotations

import pytest

from gateway.core.clock import Clock
from gateway.upstream.observed import FRESH, MOST, Observed


class Hands:
    at = 0.0


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def observed(hands: Hands) -> Observed:
    return Observed(Clock(monotonic=lambda: hands.at))


def test_calls_under_way_are_counted_and_nothing_is_left_of_those_that_ended(observed: Observed) -> None:
    observed.began("a")
    observed.began("a")
    observed.ended("a")
    assert (observed.busy("a"), observed.busy("b")) == (1, 0)

    observed.ended("a")
    assert observed.busy("a") == 0
    assert observed.all() == {}


def test_newer_answers_count_more(observed: Observed) -> None:
    assert observed.first_token("a", stream=True) is None
    observed.answered("a", 1.0, stream=True)
    assert observed.first_token("a", stream=True) == 1.0
    observed.answered("a", 2.0, stream=True)
    assert observed.first_token("a", stream=True) == pytest.approx(1.2)

    for _ in range(50):
        observed.answered("a", 0.1, stream=True)
    assert observed.first_token("a", stream=True) == pytest.approx(0.1, abs=0.001)


def test_streams_and_whole_answers_are_kept_apart(observed: Observed) -> None:
    observed.answered("a", 9.0, stream=False)

    assert observed.first_token("a", stream=True) is None
    assert observed.first_token("a", stream=False) == 9.0
    assert observed.all() == {"a": (0, None)}


def test_what_was_seen_long_ago_is_known_and_not_fresh(observed: Observed, hands: Hands) -> None:
    observed.answered("a", 1.0, stream=True)
    hands.at += FRESH
    assert observed.is_fresh("a", stream=True)
    hands.at += 1

    assert not observed.is_fresh("a", stream=True)
    assert not observed.is_fresh("a", stream=False)
    assert observed.first_token("a", stream=True) == 1.0


def test_clients_that_name_deployments_without_end_do_not_fill_the_memory(observed: Observed) -> None:
    for number in range(MOST + 10):
        observed.answered(f"d{number}", 1.0, stream=True)

    assert len(observed.all()) == MOST
    assert observed.first_token("d0", stream=True) is None


def test_an_answer_that_was_given_up_counts_only_where_it_had_been_slower_than_usual(observed: Observed) -> None:
    observed.outlasted("a", 5.0, stream=True)
    assert observed.first_token("a", stream=True) is None

    observed.answered("a", 1.0, stream=True)
    observed.outlasted("a", 0.5, stream=True)
    assert observed.first_token("a", stream=True) == 1.0

    observed.outlasted("a", 2.0, stream=True)
    assert observed.first_token("a", stream=True) == pytest.approx(1.2)
