"""Whatever way a call ends, it is settled once and nothing stays held."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budget.accounts import Account, Accounts
from gateway.core.tenant import Tenant

ACME = Tenant("acme", None, "k1", "one")


class Failed(Exception):
    """Stands for any end that is not a good one."""


def test_a_call_is_under_way_until_it_is_settled() -> None:
    accounts = Accounts()
    with accounts.hold(ACME) as hold:
        assert accounts.all()["acme"] == Account(open=1)
        hold.settle(39)
        assert accounts.all()["acme"].spent == 0

    assert accounts.all()["acme"] == Account(spent=39, calls=1)


def test_a_call_that_fails_before_it_cost_anything_is_released() -> None:
    accounts = Accounts()
    with pytest.raises(Failed), accounts.hold(ACME):
        raise Failed

    assert accounts.all()["acme"] == Account(calls=1)


def test_an_unknown_cost_is_counted_and_not_taken_for_nothing() -> None:
    accounts = Accounts()
    with accounts.hold(ACME) as hold:
        hold.settle(None)

    assert accounts.all()["acme"] == Account(calls=1, unpriced=1)


def test_a_team_has_an_account_of_its_own_and_its_keys_share_it() -> None:
    accounts = Accounts()
    for tenant, cost in (
        (ACME, 1),
        (Tenant("acme", "search", "k2", "two"), 10),
        (Tenant("acme", "search", "k3", "three"), 100),
    ):
        with accounts.hold(tenant) as hold:
            hold.settle(cost)

    assert {name: account.spent for name, account in accounts.all().items()} == {"acme": 1, "acme/search": 110}


@given(ends=st.lists(st.tuples(st.none() | st.integers(0, 10**12), st.booleans(), st.booleans()), max_size=20))
def test_the_sum_of_the_costs_is_spent_and_nothing_is_held(ends: list[tuple[int | None, bool, bool]]) -> None:
    """However calls overlap, and whether they are settled, fail, or do both."""
    accounts = Accounts()
    with ExitStack() as still_open:
        for cost, is_settled, fails in ends:
            hold = accounts.hold(ACME)
            if fails:
                with suppress(Failed), hold:
                    if is_settled:
                        hold.settle(cost)
                    raise Failed
            else:
                still_open.enter_context(hold)
                if is_settled:
                    hold.settle(cost)

    settled = [cost for cost, is_settled, _ in ends if is_settled]
    expected = Account(
        spent=sum(cost or 0 for cost in settled), calls=len(ends), unpriced=sum(cost is None for cost in settled)
    )
    assert accounts.all().get("acme", Account()) == expected
