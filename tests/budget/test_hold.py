"""What a call holds while it is answered, and what is left of that however it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.budget.hold import Hold
from gateway.budget.limits import Kind, Limit, Limits, MemberLimits, Unit, account
from gateway.budget.purse import LEAST, LONG, STEP
from gateway.budget.purse import Bill as AnyBill
from gateway.budget.windows import Forever, Rolling
from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Model, Provider
from gateway.core.errors import BudgetExhausted
from gateway.core.ledger.operations import Balance
from gateway.core.money import Price
from gateway.core.tenant import Tenant
from gateway.core.usage import Usage
from gateway.meter.bound import Bounds
from gateway.meter.tokens import Tokens
from tests.budget.cast import BookLedger, Worker

ACME = Tenant("acme", None, "k1", "app")
LAB = Provider("lab", "openai")
DEPLOYMENT = Deployment("lab/m", LAB, "m", Price(1_000_000_000, 2_000_000_000))
MODEL = Model("m", (DEPLOYMENT,), max_output=500)
BOUNDS = Bounds(Tokens())
BODY = b'{"model": "m", "messages": []}'


@dataclass(frozen=True)
class Bill:
    usage: Usage
    cost: int | None


@dataclass
class Answer:
    """A stream of words, as far as it is read. hold.Watched."""

    words: int = 0
    is_stream: bool = True
    deployment: Deployment = DEPLOYMENT
    said: int = 0
    asked: int = 0
    was_cut: bool = False

    async def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        for _ in range(self.words):
            self.said += 1
            yield b" word"

    def produced_length(self) -> int:
        return self.said * 5

    def produced(self) -> list[str]:
        return [" word" * self.said]

    def fresh_text(self) -> str:
        fresh = " word" * (self.said - self.asked)
        self.asked = self.said
        return fresh

    def cut(self) -> bytes:
        self.was_cut = True
        return b"cut"


@dataclass
class Desk:
    """Who knows which calls are under way. hold.Joined."""

    under_way: list[str] = field(default_factory=list)
    bills: list[AnyBill | None] = field(default_factory=list)

    def enter(self, hold: Hold) -> None:
        self.under_way.append(hold.id)

    def leave(self, hold: Hold, bill: AnyBill | None) -> None:
        self.under_way.remove(hold.id)
        self.bills.append(bill)


@dataclass
class Office:
    """A worker without slices whose tenant has some limits."""

    worker: Worker
    ledger: BookLedger
    desk: Desk = field(default_factory=Desk)
    limits: Limits = field(default_factory=Limits)

    def limit(self, *limits: Limit) -> None:
        self.limits = Limits(members={"acme": MemberLimits(own=limits)})

    def hold(self, operation: Operation = Operation.CHAT, *, stream: bool = False, **fields: Any) -> Hold:
        fields = {"messages": [], **fields}
        call = Call("r1", operation, 0, "m", BODY, fields, stream=stream)
        return Hold(
            call,
            ACME,
            self.limits,
            reserver=self.worker.reserver,
            estimates=BOUNDS,
            joined=self.desk,
            clock=self.worker.time.clock,
        )

    async def balance(self, limit: Limit) -> Balance:
        await self.worker.teller.told()
        return self.ledger.balance(account("org", "acme", limit))


@pytest.fixture
def office(direct: Worker, ledger: BookLedger) -> Office:
    return Office(direct, ledger)


def tokens(amount: int, **fields: Any) -> Limit:
    return Limit(Unit.TOKENS, amount, Forever(), **fields)


RPM = Limit(Unit.REQUESTS, 60, Rolling(60), Kind.RATE)
AT_ONCE = Limit(Unit.CALLS, 2, Forever(), Kind.RATE)
USD = Limit(Unit.USD, 10**9, Forever())
SENT = BOUNDS.sent(Call("r", Operation.CHAT, 0, "m", BODY, {"messages": []}), DEPLOYMENT)


async def test_a_call_is_settled_at_what_it_cost_in_every_account(office: Office) -> None:
    every = (USD, tokens(10_000), RPM, AT_ONCE)
    office.limit(*every)

    with office.hold(max_tokens=100) as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        held = [(await office.balance(each)).held for each in every]
        hold.settle(Bill(Usage(10, 5), 20_000))
    settled = [await office.balance(each) for each in every]

    assert held == [(SENT + 200) * 1000, SENT + 100, 1, 1]
    assert [each.spent for each in settled] == [20_000, 15, 1, 0]
    assert [each.held for each in settled] == [0, 0, 0, 0]
    assert hold.reserved_usd == held[0]
    assert office.desk.under_way == []


async def test_a_call_that_fails_costs_nothing_but_its_place(office: Office) -> None:
    every = (USD, tokens(10_000), RPM)
    office.limit(*every)

    async def fails() -> None:
        with office.hold() as hold:
            await hold.of(MODEL).reserve(DEPLOYMENT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()

    assert [(await office.balance(each)).spent for each in every] == [0, 0, 1]
    assert [(await office.balance(each)).held for each in every] == [0, 0, 0]
    assert office.desk.bills == [None]


async def test_the_next_attempt_gives_back_what_the_one_before_held(office: Office) -> None:
    limit = tokens(SENT + 150)
    office.limit(limit, RPM)

    with office.hold(max_tokens=100) as hold:
        for _ in range(3):
            await hold.of(MODEL).reserve(DEPLOYMENT)
            assert (await office.balance(limit)).held == SENT + 100
        hold.settle(Bill(Usage(1, 1), 3))

    assert (await office.balance(limit)).spent == 2
    assert (await office.balance(RPM)).spent == 1


async def test_an_answer_that_costs_nothing_takes_a_place_and_no_money(office: Office) -> None:
    office.limit(USD, RPM, AT_ONCE)

    with office.hold() as hold:
        hold.of(MODEL)
        await hold.admit()
        assert [(await office.balance(each)).held for each in (USD, RPM, AT_ONCE)] == [0, 1, 1]

    assert [(await office.balance(each)).spent for each in (USD, RPM, AT_ONCE)] == [0, 1, 0]


async def test_a_call_that_no_limit_touches_asks_nobody(office: Office) -> None:
    with office.hold() as hold:
        assert await hold.of(MODEL).reserve(DEPLOYMENT) is None
        await hold.admit()
        answer = Answer(3)
        assert [chunk async for chunk in hold.within(answer)] == [b" word"] * 3
        assert hold.headers() == ()

    assert office.ledger.batches == []
    assert hold.reserved_usd is None


@pytest.mark.parametrize(
    ("limit", "operation", "fields", "written"),
    [
        (tokens(100_000), Operation.CHAT, {}, 500),
        (tokens(100_000), Operation.COMPLETION, {"prompt": "hi"}, 500),
        (tokens(100_000), Operation.EMBEDDINGS, {"input": "hi"}, None),
        (tokens(100_000), Operation.CHAT, {"max_tokens": 7}, None),
        (tokens(100_000), Operation.CHAT, {"max_completion_tokens": 7}, 7),
        (tokens(100_000), Operation.COMPLETION, {"prompt": "hi", "max_completion_tokens": 7}, 500),
        (tokens(100_000, hard=False), Operation.CHAT, {}, None),
        (RPM, Operation.CHAT, {}, None),
        (tokens(SENT + 200, clamps=True), Operation.CHAT, {"max_tokens": 400}, 200),
        (tokens(SENT + 240, clamps=True), Operation.CHAT, {}, 200),
    ],
)
async def test_the_cap_is_written_where_the_client_gave_none_or_one_too_high(
    office: Office, limit: Limit, operation: Operation, fields: dict[str, Any], written: int | None
) -> None:
    office.limit(limit)

    with office.hold(operation, **fields) as hold:
        assert await hold.of(MODEL).reserve(DEPLOYMENT) == written


async def test_nothing_is_shortened_to_next_to_nothing(office: Office) -> None:
    office.limit(tokens(SENT + LEAST - 1, clamps=True))

    with office.hold(max_tokens=400) as hold, pytest.raises(BudgetExhausted) as refused:
        await hold.of(MODEL).reserve(DEPLOYMENT)

    assert f"max_tokens up to {LEAST - 1}" in refused.value.message


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 400}, {"n": 3}, {"stream": True, "max_tokens": 400}])
async def test_a_call_that_does_as_it_is_told_fits(office: Office, fields: dict[str, Any]) -> None:
    limit = tokens(SENT + 200)
    office.limit(limit)
    with office.hold(**fields) as hold, pytest.raises(BudgetExhausted) as refused:
        await hold.of(MODEL).reserve(DEPLOYMENT)
    told = int(refused.value.message.rpartition("up to ")[2].rstrip("."))

    with office.hold(**{**fields, "max_tokens": told}) as hold:
        assert await hold.of(MODEL).reserve(DEPLOYMENT) is None

    assert (await office.balance(limit)).held == 0


async def test_a_stream_holds_all_that_its_cap_allows_for_not_all_of_it_may_be_seen(office: Office) -> None:
    limit = tokens(100_000)
    office.limit(limit)
    answer = Answer(STEP * 2)

    with office.hold(stream=True, max_tokens=STEP * 3) as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        held = (await office.balance(limit)).held
        assert len([chunk async for chunk in hold.within(answer)]) == STEP * 2
        hold.settle(Bill(Usage(10, STEP * 2), 0))

    assert held == SENT + STEP * 3
    assert not answer.was_cut
    balance = await office.balance(limit)
    assert (balance.settled, balance.over, balance.held) == (10 + STEP * 2, 0, 0)


async def test_a_stream_stops_where_nothing_more_can_be_held(office: Office) -> None:
    limit = tokens(SENT + STEP + 100)
    office.limit(limit)
    answer = Answer(STEP * 2)

    with office.hold(stream=True, max_tokens=LONG + 1) as hold:
        assert await hold.of(MODEL).reserve(DEPLOYMENT) == STEP + 100
        chunks = [chunk async for chunk in hold.within(answer)]
        made = len(chunks) - 1
        hold.settle(Bill(Usage(SENT, made), 0))

    assert chunks[-1] == b"cut"
    assert answer.was_cut
    assert hold.is_stopped
    assert made == STEP + 100
    balance = await office.balance(limit)
    assert (balance.settled, balance.over) == (SENT + made, 0)


async def test_a_stream_that_ends_by_its_own_cap_is_not_stopped(office: Office) -> None:
    office.limit(tokens(SENT + 50))
    answer = Answer(50)

    with office.hold(stream=True, max_tokens=50) as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        assert [chunk async for chunk in hold.within(answer)] == [b" word"] * 50

    assert not hold.is_stopped


async def test_what_was_used_beyond_what_was_held_is_an_overdraft(office: Office) -> None:
    limit = tokens(SENT + 10)
    office.limit(limit)

    with office.hold(max_tokens=10) as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        hold.settle(Bill(Usage(SENT, 1_000), 0))

    balance = await office.balance(limit)
    assert (balance.settled, balance.over) == (SENT + 10, 990)


async def test_what_a_running_answer_has_used_is_known_to_whoever_settles_it_if_this_worker_dies(
    office: Office,
) -> None:
    limit = tokens(100_000)
    office.limit(limit)

    with office.hold(stream=True, max_tokens=STEP * 2) as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        hold.observe()  # nothing has come yet
        (settle,) = office.worker.reserver.settlements()
        assert settle.lines[0].amount == 0
        answer = Answer(STEP)
        async for _ in hold.within(answer):
            hold.observe()
        observed = sum(each.lines[0].amount for each in office.worker.reserver.settlements())

    assert observed == len(BODY) // 4 + STEP * 5 // 4


async def test_rates_and_what_was_not_checked_are_told_in_headers(office: Office) -> None:
    office.limit(RPM, tokens(10, hard=False))
    with office.hold() as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        known = dict(hold.headers())
    office.ledger.is_away = True
    with office.hold() as hold:
        await hold.of(MODEL).reserve(DEPLOYMENT)
        unknown = dict(hold.headers())

    assert (known["x-ratelimit-limit-requests"], known["x-ratelimit-remaining-requests"]) == ("60", "59")
    assert "x-llmgw-degraded" not in known
    assert unknown["x-llmgw-degraded"] == "budget, ratelimit"
