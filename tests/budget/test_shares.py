"""An overloaded worker shares out what it can do: who asks for little gets all of it, and to ask for more helps nobody."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budget.shares import CALM, FEWEST, LATE, ROUNDS, SQUEEZED, TOO_LATE, TOO_LATE_FOR_OTHERS, Shares, fair
from gateway.core.errors import Overloaded

ASKED = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 10_000), min_size=1)
CAPACITY = st.integers(1, 20_000)


def given_to(asked: dict[str, int], capacity: float) -> dict[str, float]:
    """What each gets: its share, or what it asked for if that is less."""
    shares = fair(asked, capacity)
    return {name: min(wanted, shares[name]) for name, wanted in asked.items()}


@given(ASKED, CAPACITY)
def test_no_more_is_given_than_there_is_and_nothing_is_left_while_somebody_wants_more(
    asked: dict[str, int], capacity: int
) -> None:
    total = sum(given_to(asked, capacity).values())

    assert math.isclose(total, min(capacity, sum(asked.values())), abs_tol=1e-6)


@given(ASKED, CAPACITY)
def test_who_asks_for_no_more_than_an_equal_share_gets_all_of_it(asked: dict[str, int], capacity: int) -> None:
    equal = capacity / len(asked)

    for name, got in given_to(asked, capacity).items():
        assert got >= min(asked[name], equal) - 1e-6


@given(ASKED, CAPACITY, st.integers(1, 1_000_000))
def test_who_does_not_get_all_gains_nothing_by_asking_for_more(asked: dict[str, int], capacity: int, more: int) -> None:
    before = given_to(asked, capacity)

    for name, wanted in asked.items():
        if before[name] < wanted:
            after = given_to({**asked, name: wanted + more}, capacity)
            assert after[name] <= before[name] + 1e-6
            assert all(after[other] >= before[other] - 1e-6 for other in asked if other != name)


@given(ASKED, CAPACITY)
def test_nobody_who_is_cut_short_gets_less_than_another(asked: dict[str, int], capacity: int) -> None:
    got = given_to(asked, capacity)

    cut = [got[name] for name in asked if got[name] < asked[name] - 1e-6]
    assert all(each >= max(got.values()) - 1e-6 for each in cut)


class Rounds:
    """A worker whose event loop comes as late as is said."""

    def __init__(self) -> None:
        self.shares = Shares(lambda: 0.0, Random(1))

    def round(self, late: float = 0.0, **asked: int) -> dict[str, int]:
        """How many calls of each tenant were taken."""
        taken = dict.fromkeys(asked, 0)
        for number in range(max(asked.values(), default=0)):
            for tenant in [each for each in asked if number < asked[each]]:
                taken[tenant] += self.shares.takes(tenant)
        self.shares.look(late, 1.0)
        return taken

    @contextmanager
    def waiting(self, tenant: str, count: int) -> Iterator[None]:
        """So many calls of the tenant wait to be told that they are refused."""
        self.shares._waiting[tenant] += count
        yield
        self.shares._waiting[tenant] -= count

    def overload(self, **asked: int) -> None:
        for _ in range(ROUNDS):
            self.round(TOO_LATE + 0.01, **asked)
        assert self.shares.is_overloaded


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


def test_a_hiccup_refuses_nobody(rounds: Rounds) -> None:
    for _ in range(20):
        for _ in range(ROUNDS - 1):
            assert rounds.round(TOO_LATE * 10, acme=500) == {"acme": 500}
        assert rounds.round(0.0, acme=500) == {"acme": 500}

    assert not rounds.shares.is_overloaded
    assert rounds.shares.refused == 0


def test_much_at_once_that_is_a_little_late_refuses_nobody(rounds: Rounds) -> None:
    for _ in range(50):
        assert rounds.round(TOO_LATE, acme=500) == {"acme": 500}


def test_the_modest_do_not_notice_that_another_asks_for_ten_times_as_much(rounds: Rounds) -> None:
    rounds.overload(noisy=200, modest=20, quiet=2)

    taken = rounds.round(LATE, noisy=2_000, modest=20, quiet=2)

    assert (taken["modest"], taken["quiet"]) == (20, 2)
    assert taken["noisy"] <= 222


def test_a_worker_that_stays_late_takes_less_and_less_but_never_nothing(rounds: Rounds) -> None:
    rounds.overload(acme=300)
    taken = [rounds.round(TOO_LATE, acme=300)["acme"] for _ in range(200)]

    assert all(later <= earlier for earlier, later in pairwise(taken))
    assert taken[-1] == FEWEST


async def test_a_refusal_is_a_503_that_may_be_tried_again(rounds: Rounds) -> None:
    rounds.overload(acme=300)
    for _ in range(200):
        rounds.round(TOO_LATE, acme=300)
    while rounds.shares.takes("acme"):
        pass
    with pytest.raises(Overloaded) as refused:
        await rounds.shares.admit("acme")

    assert (refused.value.status, refused.value.code, refused.value.should_retry) == (503, "overloaded", True)


def test_who_asks_for_less_than_a_share_is_never_squeezed(rounds: Rounds) -> None:
    rounds.overload(noisy=200, modest=20)
    taken = [rounds.round(TOO_LATE, noisy=2_000, modest=20) for _ in range(100)]

    assert {each["modest"] for each in taken} == {20}
    assert taken[-1]["noisy"] <= 2 * FEWEST


def test_once_it_is_calm_everybody_is_taken_again(rounds: Rounds) -> None:
    rounds.overload(acme=300)
    for _ in range(CALM):
        rounds.round(0.0, acme=10)

    assert not rounds.shares.is_overloaded
    assert rounds.round(0.0, acme=5_000) == {"acme": 5_000}


def test_who_comes_anew_while_it_is_overloaded_is_taken_too(rounds: Rounds) -> None:
    rounds.overload(noisy=200)

    assert rounds.round(LATE, noisy=200, newcomer=10)["newcomer"] == 10


def test_what_one_does_to_others_counts_sooner(rounds: Rounds) -> None:
    for _ in range(ROUNDS):
        rounds.round(TOO_LATE_FOR_OTHERS + 0.001, acme=300, other=20)

    assert rounds.shares.is_overloaded


def test_a_burst_of_one_beside_another_refuses_nobody(rounds: Rounds) -> None:
    for _ in range(20):
        for _ in range(ROUNDS - 1):
            rounds.round(TOO_LATE_FOR_OTHERS * 3, acme=400, other=20)
        rounds.round(0.0, acme=20, other=20)

    assert rounds.shares.refused == 0


def test_nobody_becomes_modest_by_being_told_slowly(rounds: Rounds) -> None:
    rounds.overload(noisy=300, quiet=60)
    with rounds.waiting("noisy", 400):
        taken = [rounds.round(TOO_LATE, noisy=50, quiet=60) for _ in range(50)]

    assert {each["quiet"] for each in taken} == {60}
    assert taken[-1]["noisy"] <= FEWEST + 60 * SQUEEZED


def test_a_worker_that_is_late_though_nobody_was_refused_can_do_less_than_was_thought(rounds: Rounds) -> None:
    for _ in range(30):
        rounds.round(0.0, noisy=900)
    for _ in range(60):
        rounds.round(0.0, quiet=60)

    taken = [rounds.round(TOO_LATE, noisy=240, quiet=60) for _ in range(30)]

    assert {each["quiet"] for each in taken} == {60}
    assert taken[-1]["noisy"] < 60


def test_a_worker_that_was_late_for_another_reason_is_soon_back_at_its_work(rounds: Rounds) -> None:
    rounds.overload(noisy=300, quiet=60)
    for _ in range(100):
        rounds.round(TOO_LATE, noisy=300, quiet=60)

    taken = [rounds.round(0.0, noisy=300, quiet=60) for _ in range(40)]

    assert taken[-1] == {"noisy": 300, "quiet": 60}
