"""People are told once of each share of a budget that has been spent, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gateway.budget.alerts import Alerts
from gateway.budget.limits import Account, Limit, Unit, account
from gateway.budget.windows import Calendar, Period
from tests.budget.cast import NOON, budget, rate

DAILY = budget(1_000)
NOW = int(NOON * 1000)
TOMORROW = NOW + 86_400_000


class People:
    """Whoever is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.alerts = Alerts(lambda *told: self.told.append(told))

    def shares(self) -> list[object]:
        return [message["share"] for _, message in self.told]

    def look(self, account: Account, *spent: int, at: int = NOW) -> None:
        for amount in spent:
            self.alerts.look(account, account.span(at), amount, at)


@pytest.fixture
def people() -> People:
    return People()


def test_each_share_is_told_once(people: People) -> None:
    people.look(DAILY, 0, 799, 800, 801, 999, 1_000, 1_001, 900)

    assert people.shares() == [0.8, 1.0]
    assert people.alerts.crossed == 2


def test_of_shares_that_are_crossed_at_once_the_largest_is_told(people: People) -> None:
    people.look(DAILY, 5_000)

    assert people.shares() == [1.0]


def test_a_new_window_is_told_of_anew(people: People) -> None:
    people.look(DAILY, 900)
    people.look(DAILY, 100, 900, at=TOMORROW)

    assert people.shares() == [0.8, 0.8]
    assert len({id for id, _ in people.told}) == 2


def test_a_limit_that_was_raised_is_told_of_anew(people: People) -> None:
    raised = budget(10_000)

    people.look(DAILY, 1_000)
    people.look(raised, 1_001, 7_999, 8_000)

    assert people.shares() == [1.0, 0.8]
    assert len({id for id, _ in people.told}) == 2


def test_two_workers_tell_of_one_share_under_one_id() -> None:
    first, second = People(), People()
    first.look(DAILY, 850)
    second.look(DAILY, 870)

    assert first.told[0][0] == second.told[0][0]


def test_the_policy_chooses_the_shares(people: People) -> None:
    people.look(account("org", "acme", replace(DAILY.limit, warn=(0.5,))), 499, 500, 1_000)

    assert people.shares() == [0.5]


def test_nobody_is_told_of_rates_or_of_budgets_that_warn_nobody(people: People) -> None:
    people.look(rate(10), 10)
    people.look(account("org", "acme", replace(DAILY.limit, warn=())), 1_000)

    assert people.told == []


def test_what_is_told_of_money_is_in_dollars(people: People) -> None:
    team = account("team", "acme/search", Limit(Unit.USD, 50_000_000_000, Calendar(Period.DAY, "Europe/Berlin")))

    people.look(team, 40_500_000_001)

    assert people.told[0][1] == {
        "event": "budget.threshold",
        "share": 0.8,
        "level": "team",
        "subject": "acme/search",
        "unit": "usd",
        "window": "day@Europe/Berlin",
        "window_id": "2027-01-14",
        "mode": "hard",
        "spent": "40.500000001",
        "limit": "50",
    }


def test_what_is_told_of_tokens_is_a_number(people: People) -> None:
    people.look(budget(1_000, hard=False), 800)

    message = people.told[0][1]
    assert (message["spent"], message["limit"], message["mode"]) == (800, 1_000, "soft")
