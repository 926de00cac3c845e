"""What a call needs of each account is the most that it can come to, and the largest cap that fits is the largest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budget.limits import Account, Kind, Limit, Unit, account
from gateway.budget.needs import Needs
from gateway.budget.reserve import Shortage
from gateway.budget.windows import Forever
from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import InvalidRequest
from gateway.core.ledger.operations import NEVER
from gateway.core.money import Price
from gateway.meter.bound import Bounds
from gateway.meter.tokens import Tokens
from tests.budget.cast import rate

BOUNDS = Bounds(Tokens())
LAB = Provider("lab", "openai")
PRICED = Deployment("lab/priced", LAB, "priced", Price(1_000_000_000, 2_000_000_000))
FREE = Deployment("lab/free", LAB, "free", None)


def limit(unit: Unit, *, scope: str = "org", hard: bool = True, allows_unpriced: bool = False) -> Account:
    return account(scope, "acme", Limit(unit, 10**12, Forever(), hard=hard, allows_unpriced=allows_unpriced))


USD, TOKENS = limit(Unit.USD), limit(Unit.TOKENS, scope="team")
RPM, AT_ONCE = rate(5), rate(5, unit=Unit.CALLS)
EVERY = (USD, TOKENS, RPM, AT_ONCE)


def call(**fields: Any) -> Call:
    return Call(id="r", operation=Operation.CHAT, received=0, model="m", body=b"", fields={"messages": [], **fields})


def needs(*accounts: Account, **fields: Any) -> Needs:
    return Needs(call(**fields), accounts, BOUNDS)


def test_money_tokens_and_a_place_each_of_its_own_account() -> None:
    wanted = needs(*EVERY)

    amounts = wanted.amounts(PRICED, sent=100, made=10)

    assert dict(wanted.all(amounts)) == {USD: 120_000, TOKENS: 110, RPM: 1, AT_ONCE: 1}


def test_what_costs_nothing_needs_a_place_alone() -> None:
    assert dict(needs(*EVERY).places()) == {RPM: 1, AT_ONCE: 1}


def test_more_output_needs_more_money_and_tokens_and_no_second_place() -> None:
    wanted = needs(*EVERY)

    before, after = (wanted.amounts(PRICED, sent=100, made=made) for made in (10, 15))

    assert dict(wanted.more(before, after)) == {USD: 10_000, TOKENS: 5}


@pytest.mark.parametrize(
    ("of", "refuses"),
    [
        (USD, True),
        (limit(Unit.USD, hard=False), False),
        (limit(Unit.USD, allows_unpriced=True), False),
        (TOKENS, False),
        (RPM, False),
    ],
)
def test_only_a_hard_budget_in_money_refuses_a_model_without_a_price(of: Account, refuses: bool) -> None:
    wanted = needs(of)

    if refuses:
        with pytest.raises(InvalidRequest) as refusal:
            wanted.amounts(FREE, sent=100, made=10)
        assert refusal.value.code == "model_not_priced"
    else:
        assert wanted.amounts(FREE, sent=100, made=10)[:2] == (0, 110)


@pytest.mark.parametrize(
    ("of", "is_bound"), [(USD, True), (TOKENS, True), (limit(Unit.USD, hard=False), False), (RPM, False)]
)
def test_only_a_hard_budget_bounds_what_a_provider_may_make(of: Account, is_bound: bool) -> None:
    assert needs(of, AT_ONCE).is_bound == is_bound


def short(of: Account, left: int) -> Shortage:
    return Shortage(of, left, NEVER)


@given(
    usd=st.integers(0, 10**7),
    tokens=st.integers(0, 5_000),
    sent=st.integers(0, 2_000),
    most=st.integers(0, 4_096),
    choices=st.integers(1, 5),
)
def test_the_largest_cap_that_fits_does_and_one_more_does_not(
    usd: int, tokens: int, sent: int, most: int, choices: int
) -> None:
    wanted = needs(USD, TOKENS, n=choices)
    shortages = [short(USD, usd), short(TOKENS, tokens)]

    def fits(cap: int) -> bool:
        amounts = wanted.amounts(PRICED, sent=sent, made=cap * choices)
        return amounts[0] <= usd and amounts[1] <= tokens

    cap = wanted.longest(shortages, PRICED, sent=sent, most=most)

    if cap is None:
        assert most < 1 or not fits(1)
    else:
        assert 1 <= cap <= most
        assert fits(cap)
        assert cap == most or not fits(cap + 1)


def test_a_rate_that_is_short_as_well_does_not_hide_what_a_budget_covers() -> None:
    tpm = account("org", "acme", Limit(Unit.TOKENS, 1_000, Forever(), Kind.RATE))
    budget = account("org", "acme", Limit(Unit.TOKENS, 1_000, Forever()))

    longest = needs(tpm, budget).longest([short(tpm, 5), short(budget, 50)], PRICED, sent=10, most=100)

    assert longest == 40
