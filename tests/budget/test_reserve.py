"""A reservation is held in full or not at all, wherever it is held; without the ledger as far as is safe."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.budget.escrow import TRUSTED
from gateway.budget.limits import Account, Orphan, Unit, account
from gateway.budget.reserve import NotAffordable, Reservation
from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import Reserve, Settle, Sweep
from tests.budget.cast import BookLedger, Time, Worker, budget, rate

LIMIT = 10_000
DAILY = budget(LIMIT)
KEY = replace(DAILY, scope="key", name="key:acme/k1:tokens/day")


async def all_places(worker: Worker, demanded: Account, count: int) -> list[Reservation]:
    return [await worker.reserve((demanded, 1)) for _ in range(count)]


async def test_every_account_is_held_or_none(direct: Worker, ledger: BookLedger) -> None:
    small = account("team", "acme/search", replace(DAILY.limit, amount=50))

    with pytest.raises(NotAffordable) as refused:
        await direct.reserve((DAILY, 100), (small, 100))
    await direct.reserve((DAILY, 100), (KEY, 100))

    assert [(each.account.scope, each.left) for each in refused.value.shortages] == [("team", 50)]
    assert [ledger.balance(each).held for each in (DAILY, KEY, small)] == [100, 100, 0]


async def test_all_of_a_budget_can_be_spent_to_the_last_token(direct: Worker, ledger: BookLedger) -> None:
    await direct.call(DAILY, LIMIT, used=LIMIT - 1)
    await direct.call(DAILY, 1, used=1)
    with pytest.raises(NotAffordable):
        await direct.reserve((DAILY, 1))

    assert (ledger.balance(DAILY).spent, ledger.balance(DAILY).held) == (LIMIT, 0)


@pytest.mark.parametrize("in_use", [0, 700, 900])
async def test_a_call_is_not_refused_for_what_the_workers_own_slice_holds_and_nobody_uses(
    worker: Worker, ledger: BookLedger, in_use: int
) -> None:
    await worker.call(DAILY, 500, used=0)
    await worker.beat()
    assert ledger.balance(DAILY).escrowed == 1000
    if in_use:
        assert (await worker.reserve((DAILY, in_use))).parts[0].slice is not None

    reservation = await worker.reserve((DAILY, LIMIT - in_use))

    assert reservation.is_direct
    assert ledger.balance(DAILY).held == LIMIT
    with pytest.raises(NotAffordable):
        await worker.reserve((DAILY, 1))


async def test_a_call_that_one_slice_cannot_carry_takes_nothing_of_the_others(
    worker: Worker, ledger: BookLedger
) -> None:
    await worker.call(DAILY, 500, used=0)
    await worker.beat()
    small = account("team", "acme/search", replace(DAILY.limit, amount=50))

    with pytest.raises(NotAffordable):
        await worker.reserve((DAILY, 100), (small, 100))

    assert worker.escrow.slice(DAILY, worker.time.milliseconds).held == 0


async def test_a_call_that_is_cancelled_while_it_asks_holds_nothing(direct: Worker, ledger: BookLedger) -> None:
    ledger.gate.clear()
    asking = asyncio.ensure_future(direct.reserve((DAILY, 100)))
    await ledger.until(lambda: bool(ledger.batches))

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    ledger.gate.set()
    await direct.teller.told()

    assert [type(each) for batch in ledger.batches for each in batch] == [Reserve, Settle]
    assert (ledger.balance(DAILY).held, ledger.tables.open) == (0, {})
    assert direct.reserver.direct == {}


async def test_a_reservation_whose_answer_was_lost_is_released(direct: Worker, ledger: BookLedger) -> None:
    ledger.loses_answers = True
    with pytest.raises(Overloaded):
        await direct.reserve((DAILY, 100))
    ledger.loses_answers = False
    await direct.teller.close(5)

    assert (ledger.balance(DAILY).held, ledger.tables.open) == (0, {})


async def test_a_window_that_has_changed_by_the_ledgers_clock_is_asked_for_again(
    direct: Worker, ledger: BookLedger, time: Time
) -> None:
    ledger._time = Time(time.seconds + 86_400)

    reservation = await direct.reserve((DAILY, 100))

    assert reservation.parts[0].span.id == "2027-01-15"


@pytest.mark.parametrize(("orphan", "charged"), [(Orphan.OBSERVED, 30), (Orphan.RESERVED, 100), (Orphan.RELEASE, 0)])
async def test_the_call_of_a_worker_that_died_is_settled_as_its_policy_says(
    direct: Worker, ledger: BookLedger, time: Time, orphan: Orphan, charged: int
) -> None:
    limit = account("org", "acme", replace(DAILY.limit, orphan=orphan))
    reservation = await direct.reserve((limit, 100))
    reservation.parts[0].observe(30)
    for renewal in direct.reserver.renewals():
        await direct.teller.ask(renewal)
    time.passes(31)

    await direct.teller.ask(Sweep())

    assert (ledger.balance(limit).spent, ledger.balance(limit).held) == (charged, 0)


async def test_a_call_that_is_renewed_keeps_what_it_holds(direct: Worker, ledger: BookLedger, time: Time) -> None:
    await direct.reserve((DAILY, 100))
    for _ in range(5):
        time.passes(20)
        for renewal in direct.reserver.renewals():
            await direct.teller.ask(renewal)
        await direct.teller.ask(Sweep())

    assert ledger.balance(DAILY).held == 100


class TestWithoutTheLedger:
    """As the table in docs/budgets.md says."""

    async def test_hard_budgets_are_served_from_slices_until_those_are_not_trusted_any_more(
        self, worker: Worker, ledger: BookLedger, time: Time
    ) -> None:
        await worker.call(DAILY, 500, used=0)
        await worker.beat()
        ledger.is_away = True

        time.passes(TRUSTED - 0.1)
        served = await worker.reserve((DAILY, 400))
        with pytest.raises(Overloaded) as too_much:
            await worker.reserve((DAILY, 700))
        time.passes(0.2)
        with pytest.raises(Overloaded) as too_late:
            await worker.reserve((DAILY, 1))

        assert served.degraded == frozenset()
        for refused in (too_much, too_late):
            assert (refused.value.status, refused.value.code) == (503, "budget_store_unavailable")
            assert refused.value.retry_after == 2
        assert worker.escrow.slice(DAILY, time.milliseconds).held == 400

    async def test_soft_budgets_are_served_and_told_later(self, direct: Worker, ledger: BookLedger) -> None:
        soft = budget(10, hard=False)
        ledger.is_away = True
        reservation = await direct.reserve((soft, 100))
        direct.reserver.settle(reservation, [60])
        ledger.is_away = False
        await direct.teller.close(5)

        assert reservation.degraded == {"budget"}
        assert ledger.balance(soft).spent == 60

    async def test_soft_budgets_in_slices_are_served_and_told_later(
        self, worker: Worker, ledger: BookLedger, time: Time
    ) -> None:
        soft = budget(10, hard=False)
        ledger.is_away = True
        reservation = await worker.reserve((soft, 100))
        worker.reserver.settle(reservation, [60])
        await worker.beat()
        second = await worker.reserve((soft, 100))
        worker.reserver.settle(second, [0])
        ledger.is_away = False
        time.passes(10)
        await worker.beat()
        third = await worker.reserve((soft, 100))

        assert second.degraded == {"budget"}
        assert third.degraded == frozenset()
        assert ledger.balance(soft).spent == 60

    @pytest.mark.parametrize("unit", [Unit.REQUESTS, Unit.CALLS])
    async def test_rates_are_counted_by_the_worker_each_with_its_share(
        self, ledger: BookLedger, time: Time, unit: Unit
    ) -> None:
        worker = Worker(ledger, time, escrow=False, workers=3)
        limit = rate(9, unit=unit)
        ledger.is_away = True

        places = await all_places(worker, limit, 3)
        with pytest.raises(NotAffordable) as refused:
            await worker.reserve((limit, 1))

        assert places[0].degraded == {"ratelimit"}
        assert refused.value.shortages[0].left == 0
        worker.reserver.settle(places[0], [0])
        assert await worker.reserve((limit, 1))
        await worker.tasks.close()

    async def test_a_rate_that_is_reached_takes_nothing_of_a_hard_budget(
        self, worker: Worker, ledger: BookLedger
    ) -> None:
        await worker.call(DAILY, 500, used=0)
        await worker.beat()
        ledger.is_away = True
        limit = rate(1)
        await worker.reserve((DAILY, 10), (limit, 1))

        with pytest.raises(NotAffordable):
            await worker.reserve((DAILY, 10), (limit, 1))

        assert worker.escrow.slice(DAILY, worker.time.milliseconds).held == 10
