"""A worker's slices are as large as its calls need, never keep from others what they could use, and lose nothing."""

from __future__ import annotations

import asyncio

import pytest

from gateway.budget.escrow import IDLE, LEASE, SCARCE, SHARE, TRUSTED, Slice
from gateway.budget.limits import Account
from gateway.budget.reserve import NotAffordable
from gateway.core.ledger.operations import Draw, Settle, Sweep
from tests.budget.cast import BookLedger, Time, Worker, budget

LIMIT = 100_000
DAILY = budget(LIMIT)


async def warm(worker: Worker, account: Account = DAILY, *, amount: int = 100) -> None:
    """After this the worker holds a slice, and what was settled is known to the ledger."""
    await worker.call(account, amount, used=0)
    await worker.beat()


def slice_of(worker: Worker) -> Slice:
    return worker.escrow.slice(DAILY, worker.time.milliseconds)


async def test_the_first_call_is_reserved_in_the_ledger_and_the_next_ones_cost_no_round_trip(
    worker: Worker, ledger: BookLedger
) -> None:
    first = await worker.call(DAILY, 100, used=40)
    await worker.beat()
    before = len(ledger.batches)

    for _ in range(2):
        second = await worker.reserve((DAILY, 100))
        assert second.parts[0].slice is not None

    assert first.is_direct
    assert len(ledger.batches) == before


async def test_a_slice_grows_with_what_calls_need_at_once(worker: Worker, ledger: BookLedger) -> None:
    sizes = []
    for calls in (1, 4, 16):
        held = [await worker.reserve((DAILY, 100)) for _ in range(calls)]
        for reservation in held:
            worker.reserver.settle(reservation, [0])
        await worker.beat()
        sizes.append(ledger.balance(DAILY).escrowed)

    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[0] >= 100


async def test_a_worker_takes_no_more_than_its_share_of_what_is_left(
    worker: Worker, other: Worker, ledger: BookLedger
) -> None:
    await warm(worker, amount=LIMIT // SHARE)
    mine = ledger.balance(DAILY).escrowed
    await warm(other, amount=(LIMIT - mine) // SHARE)
    both = ledger.balance(DAILY).escrowed

    assert mine == LIMIT // SHARE
    assert both - mine <= (LIMIT - mine) // SHARE


async def test_with_little_left_nobody_holds_a_slice(worker: Worker, ledger: BookLedger) -> None:
    await warm(worker)
    assert ledger.balance(DAILY).escrowed > 0
    most = LIMIT - LIMIT // SCARCE + 1
    await worker.call(DAILY, most, used=most)
    await worker.beat()
    await worker.beat()

    assert ledger.balance(DAILY).escrowed == 0
    assert (await worker.reserve((DAILY, 100))).is_direct


async def test_what_nobody_needs_is_given_back(worker: Worker, ledger: BookLedger, time: Time) -> None:
    await warm(worker)
    time.passes(IDLE * 0.9)
    await worker.beat()
    kept = ledger.balance(DAILY).escrowed
    time.passes(IDLE * 0.2)
    await worker.beat()

    assert kept > 0
    assert ledger.balance(DAILY).escrowed == 0


async def test_a_slice_that_was_idle_for_long_is_ended(worker: Worker, ledger: BookLedger, time: Time) -> None:
    await warm(worker)
    time.passes(5 * IDLE + 1)
    await worker.beat()
    await worker.beat()
    await worker.teller.told()

    assert worker.escrow.all() == ()
    assert ledger.tables.open == {}


async def test_a_slice_is_not_spent_from_when_it_has_not_been_renewed_for_as_long_as_it_is_trusted(
    worker: Worker, ledger: BookLedger, time: Time
) -> None:
    await warm(worker)

    assert slice_of(worker).take(1, time.seconds + TRUSTED - 0.001)
    assert not slice_of(worker).take(1, time.seconds + TRUSTED)
    assert TRUSTED < LEASE / 1000


async def test_a_slice_is_renewed_before_it_is_trusted_no_more(worker: Worker, ledger: BookLedger, time: Time) -> None:
    await warm(worker)
    for _ in range(10):
        time.passes(TRUSTED / 5)
        await worker.reserve((DAILY, 1))
        await worker.beat()

    assert slice_of(worker).take(1, time.seconds)


async def test_what_was_used_is_settled_once_though_the_answers_to_draws_are_lost(
    worker: Worker, ledger: BookLedger, time: Time
) -> None:
    await warm(worker)
    ledger.loses_answers = True
    for _ in range(3):
        reservation = await worker.reserve((DAILY, 10))
        worker.reserver.settle(reservation, [7])
        await worker.beat()
    assert ledger.balance(DAILY).spent == 21
    ledger.loses_answers = False
    await worker.beat()
    time.passes(10)
    await worker.beat()

    balance = ledger.balance(DAILY)
    assert balance.spent == 21
    assert balance.held == balance.escrowed == slice_of(worker).granted


async def test_nothing_is_spent_twice_while_a_draw_is_under_way(worker: Worker, ledger: BookLedger, time: Time) -> None:
    """The slice may come back smaller: until the ledger has said, only what it will hold in any case is spent."""
    await warm(worker, amount=1000)
    reservation = await worker.reserve((DAILY, 1000))
    worker.reserver.settle(reservation, [900])
    time.passes(IDLE + 1)
    ledger.gate.clear()
    beat = asyncio.ensure_future(worker.beat())
    await ledger.until(lambda: any(isinstance(each, Draw) and each.line.used for each in ledger.batches[-1]))

    assert not slice_of(worker).take(1, time.seconds)

    ledger.gate.set()
    await beat
    assert (ledger.balance(DAILY).spent, ledger.balance(DAILY).held) == (900, 0)


async def test_a_new_window_is_a_new_slice_and_the_old_one_is_settled_in_its_own(
    worker: Worker, ledger: BookLedger, time: Time
) -> None:
    await warm(worker)
    today = time.seconds
    running = await worker.reserve((DAILY, 100))
    assert running.parts[0].slice is not None
    time.passes(86_400)

    tomorrow = await worker.reserve((DAILY, 50))
    worker.reserver.settle(running, [60])
    await worker.beat()
    await worker.beat()
    await worker.teller.told()

    assert tomorrow.is_direct
    assert (ledger.balance(DAILY, at=today).spent, ledger.balance(DAILY, at=today).held) == (60, 0)
    assert ledger.balance(DAILY).spent == 0


async def test_another_limit_is_another_slice(worker: Worker, ledger: BookLedger) -> None:
    await warm(worker)
    lowered = budget(50)

    with pytest.raises(NotAffordable):
        await worker.reserve((lowered, 100))

    await worker.beat()
    await worker.teller.told()
    assert ledger.balance(DAILY).held == 0


async def test_a_slice_that_the_ledger_took_away_is_replaced_and_what_was_used_of_it_counts(
    worker: Worker, direct: Worker, ledger: BookLedger, time: Time
) -> None:
    """The worker was suspended for longer than its lease."""
    await warm(worker)
    running = await worker.reserve((DAILY, 100))
    time.passes(LEASE / 1000 + 1)
    await direct.teller.ask(Sweep())
    assert ledger.balance(DAILY).spent == 0

    worker.reserver.settle(running, [70])
    await worker.beat()
    await worker.beat()
    await worker.teller.told()

    assert ledger.balance(DAILY).spent == 70
    assert await worker.reserve((DAILY, 100))


async def test_what_running_calls_have_used_is_told_for_whoever_sweeps_the_slice(
    worker: Worker, direct: Worker, ledger: BookLedger, time: Time
) -> None:
    await warm(worker)
    await worker.reserve((DAILY, 100))
    slice = slice_of(worker)
    worker.observed[slice.id] = 30
    time.passes(10)
    await worker.beat()
    time.passes(LEASE / 1000 + 1)

    await direct.teller.ask(Sweep())

    assert (ledger.balance(DAILY).spent, ledger.balance(DAILY).held) == (30, 0)


async def test_a_soft_account_is_counted_and_holds_no_more_than_its_calls(worker: Worker, ledger: BookLedger) -> None:
    soft = budget(10, hard=False)
    running = await worker.reserve((soft, 1_000))
    await worker.beat()
    assert ledger.balance(soft).held == 1_000

    worker.reserver.settle(running, [900])
    await worker.beat()

    assert (ledger.balance(soft).spent, ledger.balance(soft).held) == (900, 0)


async def test_closing_gives_everything_back(worker: Worker, ledger: BookLedger) -> None:
    await warm(worker)
    reservation = await worker.reserve((DAILY, 100))
    worker.reserver.settle(reservation, [33])

    worker.escrow.close()
    await worker.teller.told()

    assert (ledger.balance(DAILY).spent, ledger.balance(DAILY).held) == (33, 0)
    assert ledger.tables.open == {}


async def test_after_a_flush_a_slice_holds_what_it_held_and_tells_only_what_the_ledger_had_not_confirmed(
    worker: Worker, ledger: BookLedger
) -> None:
    await warm(worker)
    for used in (20, 5):
        reservation = await worker.reserve((DAILY, 100))
        worker.reserver.settle(reservation, [used])
        if used == 20:
            await worker.beat()
    slice = slice_of(worker)
    before = slice.id

    (draw,) = worker.escrow.standing(flushed=True)

    assert isinstance(draw, Draw)
    assert draw.id == slice.id != before
    assert draw.line.used == 5
    assert draw.line.amount == ledger.balance(DAILY).held - 5


async def test_whoever_reads_what_a_dead_worker_left_ends_its_slices_at_what_was_used(
    worker: Worker, direct: Worker, ledger: BookLedger
) -> None:
    await warm(worker)
    reservation = await worker.reserve((DAILY, 100))
    worker.reserver.settle(reservation, [20])
    await worker.reserve((DAILY, 100))
    worker.observed[slice_of(worker).id] = 11

    (settle,) = worker.escrow.settlements()
    for _ in range(2):
        assert isinstance(settle, Settle)
        await direct.teller.ask(settle)

    assert (ledger.balance(DAILY).spent, ledger.balance(DAILY).held) == (31, 0)


async def test_a_call_too_large_for_any_slice_makes_none(worker: Worker, ledger: BookLedger) -> None:
    await warm(worker, amount=LIMIT // SHARE + 1)

    assert ledger.balance(DAILY).escrowed == 0
