"""Retries stay a small share of the load, and wait as long as the provider asked."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Timeout, Unavailable
from gateway.upstream.retries import SHARE, RetryBudget, backoff


@given(st.lists(st.booleans(), max_size=300))
def test_retries_never_exceed_their_share_of_the_calls_and_a_small_start(calls: list[bool]) -> None:
    budget = RetryBudget()
    earned = spent = 0
    for is_call in calls:
        if is_call:
            budget.earn("p")
            earned += 1
        elif budget.spend("p"):
            spent += 1

    assert spent <= 10 + SHARE * earned + 1e-6


def test_one_provider_s_retries_are_not_paid_by_another() -> None:
    budget = RetryBudget()
    while budget.spend("p"):
        pass

    assert budget.spend("q")


@given(attempt=st.integers(1, 30), seed=st.integers())
def test_the_wait_is_random_and_bounded(attempt: int, seed: int) -> None:
    assert 0 <= backoff(attempt, Unavailable("no"), Random(seed)) <= min(0.1 * 2**attempt, 2.0)


@pytest.mark.parametrize("seconds", [0.0, 0.25, 120.0])
def test_a_provider_that_asked_for_a_wait_gets_it(seconds: float) -> None:
    assert backoff(1, Unavailable("no", retry_after=seconds), Random(1)) == seconds


def test_the_hint_that_a_timeout_gives_to_clients_is_not_ours() -> None:
    assert backoff(1, Timeout("late"), Random(1)) <= 0.2
