"""A call that asks several models holds and settles for each of them, and has one place in the rates."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass

import pytest

from gateway.budget.hold import Hold
from gateway.budget.limits import Limit
from gateway.budget.purse import Purse
from gateway.core.deployment import Deployment, Model, Provider
from gateway.core.errors import BudgetExhausted
from gateway.core.money import Price
from gateway.core.usage import Usage
from tests.budget.cast import BookLedger, Worker
from tests.budget.test_hold import AT_ONCE, DEPLOYMENT, MODEL, RPM, SENT, USD, Office, tokens

STRONG_DEPLOYMENT = Deployment("lab/s", Provider("lab", "openai"), "s", Price(10_000_000_000, 20_000_000_000))
STRONG = Model("s", (STRONG_DEPLOYMENT,), max_output=500)


@dataclass(frozen=True)
class Bill:
    usage: Usage
    cost: int | None


@pytest.fixture
def office(direct: Worker, ledger: BookLedger) -> Office:
    return Office(direct, ledger)


async def test_each_answer_is_held_for_and_settled_by_itself(office: Office) -> None:
    limit = tokens(100_000)
    office.limit(limit)

    with office.hold(max_tokens=100) as hold:
        await hold.of(STRONG).reserve(STRONG_DEPLOYMENT)
        beside = hold.beside(MODEL, is_needed=True)
        await beside.reserve(DEPLOYMENT)
        assert (await office.balance(limit)).held == 2 * (SENT + 100)
        beside.settle(Bill(Usage(10, 5), 20))
        balance = await office.balance(limit)
        assert (balance.settled, balance.held) == (15, SENT + 100)
        hold.settle(Bill(Usage(10, 7), 240))

    balance = await office.balance(limit)
    assert (balance.settled, balance.over, balance.held) == (32, 0, 0)
    (bill,) = office.desk.bills
    assert bill is not None
    assert (bill.cost, bill.usage) == (260, Usage(20, 12))


async def test_two_answers_never_hold_more_than_there_is(office: Office) -> None:
    limit = tokens(2 * SENT + 150)
    office.limit(limit)

    with office.hold(max_tokens=100) as hold:
        await hold.of(STRONG).reserve(STRONG_DEPLOYMENT)
        with pytest.raises(BudgetExhausted):
            await hold.beside(MODEL, is_needed=False).reserve(DEPLOYMENT)
        balance = await office.balance(limit)
        assert balance.held == SENT + 100 <= 2 * SENT + 150

    assert not hold.is_refused
    assert hold.refused_by is None
    assert (await office.balance(limit)).held == 0


async def test_a_refusal_of_an_answer_that_is_needed_is_the_calls(office: Office) -> None:
    office.limit(tokens(SENT))
    hold = office.hold(max_tokens=100)

    async def asked() -> None:
        with hold:
            await hold.of(STRONG).admit()
            await hold.beside(MODEL, is_needed=True).reserve(DEPLOYMENT)

    with pytest.raises(BudgetExhausted):
        await asked()

    assert hold.is_refused
    assert hold.refused_by is not None
    assert hold.asked[-1][2] == "denied"


async def test_an_answer_beside_takes_no_place_in_the_rates(office: Office) -> None:
    limit = tokens(100_000)
    office.limit(RPM, AT_ONCE, limit)

    with office.hold(max_tokens=100) as hold:
        await hold.of(STRONG).admit()
        for _ in range(2):
            await hold.beside(MODEL, is_needed=False).reserve(DEPLOYMENT)
        assert [(await office.balance(each)).held for each in (RPM, AT_ONCE)] == [1, 1]
        await hold.of(STRONG).reserve(STRONG_DEPLOYMENT)
        assert [(await office.balance(each)).held for each in (RPM, AT_ONCE)] == [1, 1]
        assert (await office.balance(limit)).held == 3 * (SENT + 100)
        await hold.reserve(STRONG_DEPLOYMENT)  # another attempt
        assert [(await office.balance(each)).held for each in (RPM, AT_ONCE)] == [1, 1]
        assert (await office.balance(limit)).held == 3 * (SENT + 100)

    assert [(await office.balance(each)).spent for each in (RPM, AT_ONCE, limit)] == [1, 0, 0]
    assert [(await office.balance(each)).held for each in (RPM, AT_ONCE, limit)] == [0, 0, 0]


async def test_the_place_is_kept_till_the_end_where_another_answer_is_served(office: Office) -> None:
    limit = tokens(100_000)
    office.limit(AT_ONCE, limit)

    with office.hold(max_tokens=100) as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        beside = hold.beside(MODEL, is_needed=False)
        await beside.reserve(DEPLOYMENT)
        hold.own.settle(Bill(Usage(10, 0), 10))  # it was stopped
        hold.own.release()
        beside.serve()
        assert (await office.balance(AT_ONCE)).held == 1
        hold.settle(Bill(Usage(10, 5), 20))
        assert (await office.balance(AT_ONCE)).held == 1

    assert (await office.balance(AT_ONCE)).held == 0
    balance = await office.balance(limit)
    assert (balance.settled, balance.held) == (25, 0)
    (bill,) = office.desk.bills
    assert bill is not None
    assert bill.cost == 30


async def test_a_worker_that_dies_leaves_every_answers_reservation_to_be_settled(office: Office) -> None:
    limit = tokens(100_000)
    office.limit(limit)

    with office.hold(max_tokens=100) as hold:
        await hold.of(STRONG).reserve(STRONG_DEPLOYMENT)
        await hold.beside(MODEL, is_needed=True).reserve(DEPLOYMENT)
        ids = {each.id for each in office.worker.reserver.settlements()}
        assert len(ids) == len(office.worker.reserver.renewals()) == 2

    assert not office.worker.reserver.settlements()


async def test_what_is_told_is_what_all_answers_were_held_for(office: Office) -> None:
    office.limit(USD)

    with office.hold(max_tokens=100) as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        alone = reserved(hold)
        released = hold.beside(MODEL, is_needed=False)
        await released.reserve(DEPLOYMENT)
        assert reserved(hold) == 2 * alone
        released.release()
        assert reserved(hold) == alone

    assert reserved(hold) == alone > 0


def reserved(hold: Hold) -> int:
    assert hold.reserved_usd is not None
    return hold.reserved_usd


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_becomes_of_its_answers_a_call_pays_for_each_and_no_limit_is_passed(
    office: Office, seed: int
) -> None:
    limit = tokens(6 * (SENT + 100))
    office.limit(limit, AT_ONCE)
    crowd = Crowd(office, limit, random.Random(seed))

    for _ in range(8):
        with suppress(BudgetExhausted), office.hold(max_tokens=100) as hold:
            await crowd.ask(hold)

        balance = await office.balance(limit)
        assert (balance.held, balance.settled + balance.over) == (0, sum(crowd.paid))
        assert (await office.balance(AT_ONCE)).held == 0


class Crowd:
    """Calls that ask up to four models, whose answers are paid, let go, or forgotten. `paid`, in tokens, is for each answer."""

    def __init__(self, office: Office, limit: Limit, dice: random.Random) -> None:
        self.office = office
        self.limit = limit
        self.dice = dice
        self.paid: list[int] = []

    async def ask(self, hold: Hold) -> None:
        hold.of(MODEL)
        await (hold.admit() if self.dice.random() < 0.5 else hold.reserve(DEPLOYMENT))
        for _ in range(self.dice.randrange(4)):
            with suppress(BudgetExhausted):
                await self.ask_beside(hold.beside(MODEL, is_needed=False))
        if self.dice.random() < 0.5:
            await hold.reserve(DEPLOYMENT)
            await self.check()
            hold.settle(self.bill())

    async def ask_beside(self, purse: Purse) -> None:
        await purse.reserve(DEPLOYMENT)
        await self.check()
        fate = self.dice.randrange(3)
        if fate == 0:
            purse.settle(self.bill())
        elif fate == 1:
            purse.release()
        await self.check()

    def bill(self) -> Bill:
        made = self.dice.randrange(100)
        self.paid.append(SENT + made)
        return Bill(Usage(SENT, made), made)

    async def check(self) -> None:
        balance = await self.office.balance(self.limit)
        assert balance.settled + balance.held <= self.limit.amount
