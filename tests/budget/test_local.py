"""While the ledger is away, each worker allows its share of a rate, and what it allowed leaves with time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budget import local
from gateway.budget.limits import Unit
from gateway.budget.local import LocalLedger
from gateway.core.ledger.operations import Refused
from tests.budget.cast import NOON, rate

NOW = int(NOON * 1000)
RPM = rate(60)
TPM = rate(1_000, unit=Unit.TOKENS)
AT_ONCE = rate(4, unit=Unit.CALLS)


def allowed(ledger: LocalLedger, *, at: int = NOW, most: int = 200) -> int:
    """How many calls fit into RPM until one is refused."""
    for number in range(most):
        if ledger.reserve(f"call:{at}:{number}", [(RPM, 1)], at) is not None:
            return number
        ledger.settle(f"call:{at}:{number}", [(RPM, 1)], at)
    return most


@given(st.integers(1, 100))
def test_all_workers_together_allow_no_more_than_the_limit_and_each_at_least_one(workers: int) -> None:
    each = allowed(LocalLedger(lambda: workers))

    assert each >= 1
    assert each * workers <= 60 or each == 1


def test_a_worker_that_has_counted_nobody_allows_all_of_it() -> None:
    assert allowed(LocalLedger(lambda: 0)) == 60


def test_what_was_allowed_has_left_a_minute_later() -> None:
    ledger = LocalLedger(lambda: 2)

    assert [allowed(ledger), allowed(ledger, at=NOW + 30_000), allowed(ledger, at=NOW + 62_000)] == [30, 0, 30]


def test_who_is_refused_is_told_when_it_fits_and_holds_nothing() -> None:
    ledger = LocalLedger(lambda: 2)

    refused = ledger.reserve("call:1", [(RPM, 1), (TPM, 501)], NOW)

    assert isinstance(refused, Refused)
    assert refused.left == (30, 500)
    assert allowed(ledger) == 30


def test_tokens_that_were_held_and_not_used_come_back() -> None:
    ledger = LocalLedger(lambda: 1)
    assert ledger.reserve("call:1", [(TPM, 1_000)], NOW) is None
    assert ledger.reserve("call:2", [(TPM, 1)], NOW) is not None

    ledger.settle("call:1", [(TPM, 100)], NOW)

    assert ledger.reserve("call:3", [(TPM, 900)], NOW) is None


def test_places_at_the_same_time_come_back_when_their_calls_end() -> None:
    ledger = LocalLedger(lambda: 2)
    answers = [ledger.reserve(f"call:{number}", [(AT_ONCE, 1)], NOW) for number in range(3)]
    assert [answer is None for answer in answers] == [True, True, False]

    ledger.settle("call:0", [(AT_ONCE, 0)], NOW)

    assert ledger.reserve("call:9", [(AT_ONCE, 1)], NOW) is None


def test_calls_that_are_under_way_when_it_forgets_old_accounts_end_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "_ENTRIES", 0)
    ledger = LocalLedger(lambda: 1)
    ledger.reserve("call:1", [(AT_ONCE, 1)], NOW)
    ledger.reserve("call:2", [(RPM, 1)], NOW)

    ledger.settle("call:1", [(AT_ONCE, 0)], NOW)
    ledger.settle("call:2", [(RPM, 1)], NOW)

    assert ledger.reserve("call:3", [(AT_ONCE, 4)], NOW) is None
