"""What every ledger promises, tried on each store. The rules themselves are tried in tests/core/ledger."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.ledger.operations import (
    LARGEST,
    NEVER,
    Balance,
    Corrupt,
    Draw,
    Ended,
    Granted,
    Line,
    Once,
    Operation,
    Outcome,
    Refused,
    Renew,
    Reserve,
    Settle,
    Settled,
    Stale,
    Sweep,
    Swept,
)
from gateway.store.contract import LedgerStore, Store
from gateway.store.open import EMBEDDED
from gateway.store.sqlite.store import FILE
from tests.redis_server import RedisServer
from tests.store.conftest import Opens

pytestmark = pytest.mark.usefixtures("patient")

LEASE = 30_000
KEY = Line("key é\u2028", 40, 100)
TEAM = Line("team", 40, 1000)


@pytest.fixture
async def ledger(store: Store) -> LedgerStore:
    await store.ledger.restore("worker 1", (), ())
    return store.ledger


@pytest.fixture
async def other_ledger(ledger: LedgerStore, opens: Opens) -> LedgerStore:
    """The same ledger as another worker sees it."""
    return (await opens()).ledger


@pytest.fixture
def spoil(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Callable[[str], None]:
    """Makes the row of an account unreadable, in one of the ways there are."""

    def in_file(account: str) -> None:
        with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
            connection.execute("UPDATE ledger_accounts SET row = 'a lot' WHERE name = ?", (account,))

    def in_redis(account: str) -> None:
        server: RedisServer = request.getfixturevalue("shared_cluster" if "cluster" in url else "shared_redis")
        assert server.send("HSET", f"{{llmgw}}:ledger:a:{account}", "held", "a lot") == b":0\r\n"

    return in_file if url == EMBEDDED else in_redis


def of(line: Line, amount: int, *, observed: int = 0, used: int = 0) -> Line:
    return replace(line, amount=amount, observed=observed, used=used)


def reserve(id: str, *lines: Line, lease: int = LEASE) -> Reserve:
    return Reserve(id, "worker 1", lease, lines)


async def do(ledger: LedgerStore, *operations: Operation) -> Sequence[Outcome]:
    return (await ledger.apply(operations)).outcomes


async def balance(ledger: LedgerStore, account: str) -> tuple[int, int, int, int]:
    """Settled, over, held, escrowed."""
    (found,) = [each for each in await ledger.balances() if each.account == account]
    return found.settled, found.over, found.held, found.escrowed


async def test_what_is_reserved_is_held_until_it_is_settled_at_what_it_cost(
    ledger: LedgerStore, other_ledger: LedgerStore
) -> None:
    assert await do(ledger, reserve("r", KEY, TEAM)) == (Granted((0, 0), (40, 40)),)
    assert await other_ledger.open_reservations() == {"r": "worker 1"}

    assert await do(other_ledger, Settle("r", (of(KEY, 30), of(TEAM, 50)))) == (Settled(10),)

    assert await ledger.open_reservations() == {}
    assert sorted(await ledger.balances(), key=lambda each: each.account) == [
        Balance(KEY.account, 100, 30, 0, 0, 0, 0, NEVER, 0),
        Balance("team", 1000, 50, 0, 0, 0, 0, NEVER, 0),
    ]


async def test_a_batch_is_applied_in_order_and_each_operation_whole_or_not_at_all(ledger: LedgerStore) -> None:
    outcomes = await do(
        ledger,
        reserve("r1", KEY),
        reserve("r2", TEAM, of(KEY, 61)),
        Settle("r1", (of(KEY, 0),)),
        reserve("r3", TEAM, of(KEY, 61)),
        Once("told"),
    )

    assert outcomes == (
        Granted((0,), (40,)),
        Refused((1000, 60), (_now(outcomes), NEVER)),
        Settled(0),
        Granted((0, 0), (40, 61)),
        Settled(0),
    )


def _now(outcomes: Sequence[Outcome]) -> int:
    return next(outcome.fits_at[0] for outcome in outcomes if isinstance(outcome, Refused))


async def test_nothing_to_do_is_done(ledger: LedgerStore) -> None:
    assert await do(ledger) == ()
    assert await ledger.balances() == []
    assert await do(ledger, reserve("empty"), Settle("empty", ()), Sweep()) == (
        Granted((), ()),
        Settled(0),
        Swept({}),
    )


async def test_every_operation_that_is_sent_again_is_applied_once(
    ledger: LedgerStore, other_ledger: LedgerStore
) -> None:
    renewed = Renew("r", LEASE, (of(KEY, 60, observed=5),))
    drawn = Draw("s", "worker 1", LEASE, of(TEAM, 100, used=30))
    for each in (ledger, other_ledger, ledger):
        assert await do(each, reserve("r", KEY), drawn) == (Granted((0,), (40,)), Granted((30,), (100, 100)))
    for each in (ledger, other_ledger):
        assert await do(each, renewed, renewed) == (Granted((0,), (60,)), Granted((0,), (60,)))

    settled = Settle("r", (of(KEY, 10),))
    assert await do(ledger, settled, settled) == (Settled(0), Ended())
    assert await do(other_ledger, settled, reserve("r", KEY), renewed) == (Ended(), Ended(), Ended())
    settled = Settle("s", (of(TEAM, 35),))
    assert await do(ledger, settled, settled, drawn) == (Settled(0), Ended(), Ended())
    assert await do(ledger, Once("a"), Once("a")) == (Settled(0), Ended())
    assert await do(other_ledger, Once("a"), Once("b")) == (Ended(), Settled(0))

    assert await balance(ledger, KEY.account) == (10, 0, 0, 0)
    assert await balance(ledger, "team") == (35, 0, 0, 0)


async def test_workers_that_reserve_at_once_never_hold_more_than_the_limit(
    ledger: LedgerStore, other_ledger: LedgerStore
) -> None:
    asked = [
        each.apply([reserve(f"{number}/{index}", of(KEY, 7), TEAM) for index in range(3)])
        for number, each in enumerate((ledger, other_ledger) * 10)
    ]

    outcomes = [outcome for applied in await asyncio.gather(*asked) for outcome in applied.outcomes]

    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 14
    assert await balance(ledger, KEY.account) == (0, 0, 98, 0)
    assert await balance(ledger, "team") == (0, 0, 14 * 40, 0)


async def test_a_call_is_stale_outside_the_window_by_the_clock_of_the_ledger(ledger: LedgerStore) -> None:
    now = (await ledger.apply(())).now
    past, coming = replace(KEY, end=now), replace(KEY, begin=now + LEASE)
    present = replace(KEY, begin=now - LEASE, end=now + LEASE)

    assert await do(ledger, reserve("r1", past), reserve("r2", coming), reserve("r3", TEAM, past)) == (Stale(),) * 3
    assert await do(ledger, reserve("r4", present)) == (Granted((0,), (40,)),)
    assert await do(ledger, Settle("r4", (of(present, 40),)), reserve("r5", of(present, 61))) == (
        Settled(0),
        Refused((60,), (now + LEASE,)),
    )
    assert [each.account for each in await ledger.balances()] == [KEY.account]


async def test_what_was_spent_leaves_a_rolling_window(ledger: LedgerStore) -> None:
    rolling = replace(KEY, bucket=2)
    applied = await ledger.apply([Settle("r1", (of(rolling, 130),)), reserve("r2", of(rolling, 1))])
    refused = applied.outcomes[1]
    assert isinstance(refused, Refused)
    assert applied.now < refused.fits_at[0] <= applied.now + 61 * 2

    while (applied := await ledger.apply([reserve("r2", rolling)])).outcomes != (Granted((0,), (40,)),):
        assert applied.now < refused.fits_at[0] + 2
        await asyncio.sleep(0.005)

    assert applied.now >= refused.fits_at[0]


async def test_a_slice_holds_what_there_is_and_is_settled_as_it_is_used(ledger: LedgerStore) -> None:
    def draw(amount: int, used: int) -> Draw:
        return Draw("s", "worker 1", LEASE, of(KEY, amount, used=used))

    assert await do(ledger, reserve("r", KEY), draw(80, 0)) == (Granted((0,), (40,)), Granted((0,), (60, 100)))
    assert await balance(ledger, KEY.account) == (0, 0, 100, 60)
    assert await do(ledger, draw(50, 20), draw(10, 30)) == (Granted((20,), (40, 80)), Granted((30,), (10, 50)))
    assert await do(ledger, Settle("s", (of(KEY, 45),))) == (Settled(5),)
    assert await balance(ledger, KEY.account) == (45, 0, 40, 0)


async def test_a_reservation_is_raised_by_all_lines_or_none(ledger: LedgerStore) -> None:
    await do(ledger, reserve("r", KEY, TEAM))

    applied = await ledger.apply([Renew("r", LEASE, (of(KEY, 90), of(TEAM, 1001)))])
    assert applied.outcomes == (Refused((60, 960), (applied.now, NEVER)),)
    assert await do(ledger, Renew("r", LEASE, (of(KEY, 90), of(TEAM, 90)))) == (Granted((0, 0), (90, 90)),)


async def test_the_reservation_of_a_worker_that_died_is_swept_and_settled_late(
    ledger: LedgerStore, other_ledger: LedgerStore
) -> None:
    lines = (of(KEY, 40, observed=25), of(TEAM, 40, observed=25))
    await do(ledger, reserve("dead", *lines, lease=0), reserve("alive", of(KEY, 1)))

    assert await do(other_ledger, Sweep()) == (Swept({"dead": "worker 1"}),)
    assert await balance(ledger, KEY.account) == (25, 0, 1, 0)
    assert await do(ledger, Sweep()) == (Swept({}),)
    assert await do(ledger, reserve("dead", KEY), Renew("dead", LEASE, lines)) == (Ended(), Ended())

    late = Settle("dead", (of(KEY, 33), of(TEAM, 33)))
    assert await do(ledger, late, late) == (Settled(0), Ended())
    assert await balance(ledger, KEY.account) == (33, 0, 1, 0)
    assert await balance(ledger, "team") == (33, 0, 0, 0)


async def test_a_lease_that_is_renewed_is_not_swept(ledger: LedgerStore) -> None:
    await do(ledger, reserve("r", KEY, lease=0), Draw("s", "worker 1", 0, of(KEY, 1)))

    await do(ledger, Renew("r", LEASE, (KEY,)), Draw("s", "worker 1", LEASE, of(KEY, 1)))

    assert await do(ledger, Sweep()) == (Swept({}),)


async def test_of_many_sweeps_at_once_each_reservation_is_swept_by_one(
    ledger: LedgerStore, other_ledger: LedgerStore
) -> None:
    await do(ledger, *(reserve(f"r{number}", of(TEAM, 1), lease=0) for number in range(30)))

    applied = await asyncio.gather(*(each.apply([Sweep(7)]) for each in (ledger, other_ledger) * 4))

    swept = [each.outcomes[0] for each in applied]
    owners = [id for each in swept if isinstance(each, Swept) for id in each.owners]
    assert sorted(owners) == sorted(f"r{number}" for number in range(30))


async def test_what_cost_more_than_was_held_refuses_the_next_call(ledger: LedgerStore) -> None:
    assert await do(ledger, reserve("r", KEY), Settle("r", (of(KEY, 130),)), Settle("unknown", (of(TEAM, 1200),))) == (
        Granted((0,), (40,)),
        Settled(90),
        Settled(0),
    )

    assert await balance(ledger, KEY.account) == (100, 30, 0, 0)
    assert await balance(ledger, "team") == (1000, 200, 0, 0)
    assert await do(ledger, reserve("r2", of(KEY, 1)), reserve("r3", of(TEAM, 1))) == (
        Refused((0,), (NEVER,)),
        Refused((0,), (NEVER,)),
    )


async def test_a_limit_that_changes_counts_from_the_next_operation(ledger: LedgerStore) -> None:
    await do(ledger, reserve("r", of(KEY, 80)))

    assert await do(
        ledger,
        reserve("r2", of(replace(KEY, limit=50), 1)),
        reserve("r3", of(replace(KEY, limit=100), 20)),
        reserve("r4", of(replace(KEY, limit=None), 1000)),
        reserve("r5", of(replace(KEY, limit=2000), 900)),
    ) == (Refused((0,), (NEVER,)), Granted((0,), (100,)), Granted((0,), (1100,)), Granted((0,), (2000,)))
    (found,) = await ledger.balances()
    assert found.limit == 2000


async def test_the_largest_amounts_are_exact(ledger: LedgerStore) -> None:
    large = Line("large", LARGEST - 1, LARGEST)

    assert await do(ledger, reserve("r", large), reserve("r2", of(large, 1)), reserve("r3", of(large, 1))) == (
        Granted((0,), (LARGEST - 1,)),
        Granted((0,), (LARGEST,)),
        Refused((0,), (NEVER,)),
    )
    assert await do(ledger, Settle("r", (of(large, LARGEST - 2),))) == (Settled(0),)
    assert await balance(ledger, "large") == (LARGEST - 2, 0, 1, 0)


async def test_more_accounts_and_reservations_than_fit_in_one_answer_are_all_told(ledger: LedgerStore) -> None:
    for first in range(0, 700, 100):
        await do(ledger, *(reserve(f"r{n}", Line(f"a{n}", 1, 1)) for n in range(first, first + 100)))

    assert {each.account for each in await ledger.balances()} == {f"a{number}" for number in range(700)}
    assert set(await ledger.open_reservations()) == {f"r{number}" for number in range(700)}


async def test_a_row_that_cannot_be_read_stops_the_operations_that_need_it_and_no_other(
    ledger: LedgerStore, spoil: Callable[[str], None]
) -> None:
    plain = replace(KEY, account="plain")
    await do(
        ledger,
        reserve("bad", TEAM, of(plain, 1), lease=0),
        reserve("dead", of(TEAM, 5), lease=0),
        reserve("good", TEAM),
    )
    spoil(plain.account)

    assert await do(
        ledger,
        reserve("r1", TEAM, plain),
        reserve("r2", TEAM),
        Settle("bad", (of(TEAM, 1),)),
        Draw("s", "worker 1", LEASE, plain),
        Settle("good", (of(TEAM, 2),)),
        Settle("unknown", (TEAM, plain)),
        Sweep(),
    ) == (
        Corrupt(plain.account),
        Granted((0,), (125,)),
        Corrupt(plain.account),
        Corrupt(plain.account),
        Settled(0),
        Corrupt(plain.account),
        Swept({"dead": "worker 1"}),
    )

    assert set(await ledger.open_reservations()) == {"bad", "r2"}
    assert await balance(ledger, "team") == (2, 0, 80, 0)
    assert [each.account for each in await ledger.balances()] == ["team"]


async def test_accounts_that_are_empty_and_have_no_window_are_forgotten_and_others_are_kept(
    ledger: LedgerStore,
) -> None:
    now = (await ledger.apply(())).now
    window = Line("window", 0, 10, begin=now - LEASE, end=now + LEASE)
    await do(
        ledger,
        Settle("r1", (Line("empty", 0, 10),)),
        Settle("r2", (Line("spent", 1, 10),)),
        Settle("r3", (window,)),
        reserve("r4", Line("held", 1, 10)),
    )

    await do(ledger, Sweep())

    assert {each.account for each in await ledger.balances()} == {"spent", "window", "held"}


async def test_a_ledger_that_nobody_has_used_is_whole_at_once(store: Store, other: Store) -> None:
    assert await store.ledger.restore("worker 1", (), ())
    await store.ledger.announce("worker 1")
    await other.ledger.announce("worker 2")

    assert await do(other.ledger, reserve("r", KEY)) == (Granted((0,), (40,)),)


async def test_a_caller_that_gives_up_harms_no_one_else(ledger: LedgerStore) -> None:
    async def given_up(number: int) -> None:
        work = asyncio.ensure_future(ledger.apply([reserve(f"r{number}", of(TEAM, 1))]))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    for number in range(200):
        await given_up(number)

    held = len(await ledger.open_reservations())
    assert await do(ledger, reserve("last", of(TEAM, 1))) == (Granted((0,), (held + 1,)),)
