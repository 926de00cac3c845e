"""Operations travel in batches and in order, what was spent is told until it is heard, and a lost ledger is told of it once."""

from __future__ import annotations

import asyncio

import pytest

from gateway.budget.escrow import line
from gateway.budget.teller import BATCH, UNDER_WAY
from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import Balance, Granted, Once, Operation, Rebuilding, Reserve, Settle, Settled
from tests.budget.cast import BookLedger, Time, Worker, budget

DAILY = budget(1_000_000)


@pytest.fixture
async def running(worker: Worker) -> Worker:
    """A worker whose teller does what it does all the time."""
    worker.tasks.start(worker.teller.run(), name="teller")
    return worker


def settle(worker: Worker, id: str, amount: int = 1) -> Settle:
    return Settle(id, (line(DAILY, DAILY.span(worker.time.milliseconds), amount),))


def ids(batch: object) -> list[str]:
    assert isinstance(batch, tuple)
    return [each.id for each in batch]


async def test_what_comes_at_once_goes_in_one_batch_and_in_order(worker: Worker, ledger: BookLedger) -> None:
    for number in range(5):
        worker.teller.tell(settle(worker, f"call:{number}"))
    answer = await worker.teller.ask(Once("last"))

    assert answer == Settled()
    assert [ids(batch) for batch in ledger.batches] == [[f"call:{number}" for number in range(5)] + ["last"]]


async def test_batches_are_small_and_few_are_under_way_at_once(worker: Worker, ledger: BookLedger) -> None:
    ledger.gate.clear()
    asked = [asyncio.ensure_future(worker.teller.ask(Once(str(number)))) for number in range(BATCH * 10)]
    await ledger.until(lambda: len(ledger.batches) == UNDER_WAY)
    assert not any(each.done() for each in asked)

    ledger.gate.set()
    answers = await asyncio.gather(*asked)

    assert answers == [Settled()] * (BATCH * 10)
    assert ledger.most_at_once == UNDER_WAY
    assert all(len(batch) <= BATCH for batch in ledger.batches)
    assert [id for batch in ledger.batches for id in ids(batch)] == [str(number) for number in range(BATCH * 10)]


async def test_each_gets_the_answer_to_its_own_question(worker: Worker, ledger: BookLedger, time: Time) -> None:
    span = DAILY.span(time.milliseconds)
    answers = await asyncio.gather(
        *(worker.teller.ask(Reserve(f"call:{n}", "w1", 1000, (line(DAILY, span, n),))) for n in range(1, 4))
    )

    assert answers == [Granted((0,), (1,)), Granted((0,), (3,)), Granted((0,), (6,))]


async def test_whoever_asks_while_the_ledger_is_away_is_told_so(worker: Worker, ledger: BookLedger) -> None:
    ledger.is_away = True

    with pytest.raises(Overloaded):
        await worker.teller.ask(Once("x"))


async def test_what_was_not_heard_is_told_again_until_it_is(running: Worker, ledger: BookLedger) -> None:
    ledger.is_away = True
    for number in range(BATCH + 1):
        running.teller.tell(settle(running, f"call:{number}", 2))
    await running.teller.told()
    assert running.teller.untold == BATCH + 1

    ledger.is_away = False
    await running.teller.close(5)

    assert running.teller.untold == 0
    assert ledger.balance(DAILY).spent == 2 * (BATCH + 1)


async def test_what_was_heard_though_its_answer_was_lost_counts_once(running: Worker, ledger: BookLedger) -> None:
    ledger.loses_answers = True
    running.teller.tell(settle(running, "call:1", 5))
    await running.teller.told()
    assert running.teller.untold == 1
    ledger.loses_answers = False
    await running.teller.close(5)

    assert ledger.balance(DAILY).spent == 5


async def test_two_who_tell_again_at_once_leave_nothing_out(running: Worker, ledger: BookLedger) -> None:
    """A worker that closes tells again while its own loop does so too."""
    count = BATCH * 3
    ledger.is_away = True
    for number in range(count):
        running.teller.tell(settle(running, f"call:{number}"))
    await running.teller.told()
    ledger.is_away = False
    ledger.gate.clear()
    before = len(ledger.batches)
    closing = asyncio.ensure_future(running.teller.close(5))
    await ledger.until(lambda: len(ledger.batches) > before)
    await asyncio.sleep(0.3)  # the loop of its own comes round
    ledger.gate.set()
    await closing

    assert running.teller.untold == 0
    assert ledger.balance(DAILY).spent == count
    assert len(running.tasks) == 1, "the teller's loop has died"


async def test_what_is_told_is_noted_first(worker: Worker) -> None:
    one = settle(worker, "call:1")

    worker.teller.tell(one)

    assert worker.noted == [one]


async def test_while_the_ledger_is_rebuilt_nobody_is_answered_and_it_hears_each_worker_say_one_thing(
    running: Worker, ledger: BookLedger
) -> None:
    await running.teller.ask(settle(running, "call:1", 7))
    asked: list[bool] = []

    def standing(flushed: bool) -> list[Operation]:
        asked.append(flushed)
        return [Once("standing")]

    running.teller.standing = standing
    ledger.whole_after = 3
    ledger.rebuilding = Rebuilding(flushed=False)
    with pytest.raises(Overloaded) as refused:
        await running.teller.ask(Once("x"))
    await ledger.until(lambda: ledger.rebuilding is None)
    running.teller.tell(settle(running, "call:2"))
    await running.teller.close(5)

    assert (refused.value.code, refused.value.retry_after) == ("budget_store_unavailable", 2)
    assert asked == [False]
    assert len(ledger.restored) == 3
    assert ledger.restored[0] == ledger.restored[1] == ledger.restored[2]
    assert ids(ledger.restored[0][0]) == ["standing", "call:1"]
    assert await running.teller.ask(Once("y")) == Settled()


async def test_after_a_flush_what_was_seen_of_accounts_is_told_and_not_what_was_settled_long_before(
    running: Worker, ledger: BookLedger, time: Time
) -> None:
    await running.teller.ask(settle(running, "call:old", 7))
    time.passes(5)
    span = DAILY.span(time.milliseconds)
    seen = Balance(f"{DAILY.name}|{span.id}", 100, 7, 0, 0, 0, span.begin, span.end, span.bucket)
    running.teller.see(seen)
    time.passes(5)
    await running.teller.ask(settle(running, "call:new", 3))

    ledger.lose_everything()
    ledger.rebuilding = Rebuilding(flushed=True)
    with pytest.raises(Overloaded):
        await running.teller.ask(Once("x"))
    await ledger.until(lambda: bool(ledger.restored))

    operations, balances = ledger.restored[0]
    assert [each.id for each in operations if isinstance(each, Settle)] == ["call:new"]
    assert balances == (seen,)


async def test_the_ledgers_clock_is_the_one_that_counts(worker: Worker, ledger: BookLedger, time: Time) -> None:
    theirs = Time(time.seconds + 3600)
    ledger._time = theirs

    await worker.teller.ask(Once("x"))

    assert worker.teller.now == theirs.milliseconds
