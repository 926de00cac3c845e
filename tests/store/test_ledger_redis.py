"""What is particular to a ledger in Redis: how it is rebuilt when Redis has lost something, and what is refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import (
    Balance,
    Corrupt,
    Draw,
    Ended,
    Granted,
    Line,
    Operation,
    Outcome,
    Rebuilding,
    Refused,
    Reserve,
    Settle,
    Settled,
    Sweep,
)
from gateway.store.contract import LedgerStore, OpenError, Store
from gateway.store.open import open_store
from gateway.store.redis import ledger as redis_ledger
from tests.redis_server import RedisServer, redis_server
from tests.store.conftest import Opens
from tests.store.test_redis import answers

pytestmark = pytest.mark.usefixtures("patient")

LEASE = 30_000
KEY = Line("key", 40, 100)
PREFIX = "{llmgw}:ledger:"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server(save=True) as server:
        yield server


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url


@pytest.fixture
async def first(store: Store) -> LedgerStore:
    assert await store.ledger.restore("worker 1", (), ())
    return store.ledger


@pytest.fixture
async def second(first: LedgerStore, opens: Opens) -> LedgerStore:
    ledger = (await opens()).ledger
    await ledger.announce("worker 2")
    return ledger


def of(line: Line, amount: int, *, used: int = 0) -> Line:
    return replace(line, amount=amount, used=used)


def reserve(id: str, *lines: Line, lease: int = LEASE) -> Reserve:
    return Reserve(id, "worker", lease, lines)


def seen(line: Line, spent: int) -> Balance:
    return Balance(line.account, line.limit, spent, 0, 0, 0, line.begin, line.end, line.bucket)


async def do(ledger: LedgerStore, *operations: Operation) -> Sequence[Outcome]:
    return (await ledger.apply(operations)).outcomes


async def spent_and_held(ledger: LedgerStore, account: str = "key") -> tuple[int, int]:
    (found,) = [each for each in await ledger.balances() if each.account == account]
    return found.spent, found.held


async def lost(ledger: LedgerStore, owner: str = "worker 1") -> bool:
    """Whether the ledger is being rebuilt after a flush."""
    with pytest.raises(Rebuilding) as caught:
        await ledger.apply([reserve("any", KEY)])
    with pytest.raises(Rebuilding):
        await ledger.announce(owner)
    return caught.value.flushed


async def restart(server: RedisServer, store: Store) -> None:
    server.kill()
    server.start()
    await answers(store.changes)


async def test_after_a_restart_nothing_is_applied_until_every_worker_has_told_what_it_did(
    store: Store, first: LedgerStore, second: LedgerStore, server: RedisServer
) -> None:
    await first.announce("worker 1")
    mine, theirs = reserve("r1", KEY), reserve("r2", of(KEY, 30))
    await do(first, mine)
    await do(second, theirs)
    await do(first, Settle("r1", (of(KEY, 25),)))
    forgotten = Settle("r2", (of(KEY, 20),))

    await restart(server, store)

    assert not await lost(first)
    assert not await first.restore("worker 1", [mine, Settle("r1", (of(KEY, 25),))], [seen(KEY, 99)])
    assert not await lost(second, "worker 2")
    assert not await first.restore("worker 1", [mine], [])
    assert await second.restore("worker 2", [theirs, forgotten], [seen(KEY, 99)])
    assert await first.restore("worker 1", [mine], [])
    assert await spent_and_held(first) == (45, 0)
    assert await do(first, reserve("r3", KEY)) == (Granted((45,), (40,)),)
    assert await do(second, theirs, forgotten) == (Ended(), Ended())


async def test_what_a_restart_lost_is_told_again(store: Store, first: LedgerStore, server: RedisServer) -> None:
    await do(first, reserve("kept", of(KEY, 10)))
    await restart(server, store)
    told: list[Operation] = [
        reserve("kept", of(KEY, 10)),
        reserve("r1", of(KEY, 50)),
        Settle("r1", (of(KEY, 45),)),
        reserve("r2", of(KEY, 45)),
        Draw("s", "worker 1", LEASE, of(KEY, 5, used=3)),
        Sweep(),
    ]

    assert not await lost(first)
    assert await first.restore("worker 1", told, ())
    assert await first.restore("worker 1", told, ())

    assert await first.open_reservations() == {"kept": "worker", "r2": "worker", "s": "worker 1"}
    assert await spent_and_held(first) == (48, 60)
    assert isinstance((await do(first, reserve("r3", of(KEY, 1))))[0], Refused)


async def test_ids_that_have_ended_are_known_after_a_restart(
    store: Store, first: LedgerStore, server: RedisServer
) -> None:
    settled = Settle("r", (of(KEY, 20),))
    await do(first, reserve("r", KEY), settled)
    server.send("ZADD", PREFIX + "gone", "0", "r")
    await restart(server, store)

    assert await first.restore("worker 1", [reserve("r", KEY), settled], ())

    assert await do(first, settled) == (Ended(),)
    assert await spent_and_held(first) == (20, 0)


async def test_after_a_flush_an_account_counts_as_spent_the_most_that_anyone_saw_and_what_is_told_again(
    first: LedgerStore, second: LedgerStore, server: RedisServer
) -> None:
    await do(first, reserve("r", KEY))
    await do(second, Settle("r", (of(KEY, 30),)))

    server.send("FLUSHALL")

    assert await lost(first)
    assert await lost(second, "worker 2")
    assert not await first.restore("worker 1", [Settle("r1", (of(KEY, 5),))], [seen(KEY, 30)])
    assert not await second.restore("worker 2", [Settle("r2", (of(KEY, 7),))], [seen(KEY, 20)])
    async with asyncio.timeout(redis_ledger.GATHERING / 1000 + 5):
        while not await second.restore("worker 2", (), ()):
            await asyncio.sleep(0.05)
    assert await first.restore("worker 1", (), ())

    assert await spent_and_held(first) == (42, 0)
    assert isinstance((await do(first, reserve("r3", of(KEY, 59))))[0], Refused)
    assert await do(second, reserve("r4", of(KEY, 58))) == (Granted((42,), (58,)),)


async def test_a_worker_that_comes_late_tells_what_it_knows_though_the_others_went_on(
    store: Store, first: LedgerStore, second: LedgerStore, server: RedisServer
) -> None:
    await do(second, reserve("r", KEY))
    server.send("DEL", PREFIX + "owners")
    await restart(server, store)
    assert await first.restore("worker 1", (), ())
    assert await do(first, reserve("r1", of(KEY, 10))) == (Granted((0,), (50,)),)

    assert not await lost(second, "worker 2")
    assert await second.restore("worker 2", [Settle("r", (of(KEY, 40),))], ())

    assert await do(second, reserve("r2", of(KEY, 10))) == (Granted((40,), (20,)),)


async def test_a_worker_that_died_is_not_waited_for_for_long(
    store: Store, first: LedgerStore, second: LedgerStore, server: RedisServer
) -> None:
    await second.announce("worker 2")
    await restart(server, store)

    assert not await first.restore("worker 1", (), ())
    server.send("ZADD", PREFIX + "owners", "1", "worker 2")

    assert await first.restore("worker 1", (), ())


async def test_more_than_fits_in_one_script_is_told_in_several(
    store: Store, first: LedgerStore, server: RedisServer
) -> None:
    await do(first, reserve("r", KEY))
    server.send("FLUSHALL")
    operations = [Settle(f"r{number}", (Line("total", 1),)) for number in range(700)]
    balances = [seen(Line(f"a{number}", 0), number) for number in range(500)]

    assert await lost(first)
    async with asyncio.timeout(redis_ledger.GATHERING / 1000 + 5):
        while not await first.restore("worker 1", operations, balances):
            await asyncio.sleep(0.05)

    found = {each.account: each.spent for each in await first.balances()}
    assert found == {"total": 700} | {f"a{number}": number for number in range(500)}


@pytest.mark.parametrize("key", ["open", "leases", "gone", "swept", "due", "meta"])
async def test_a_ledger_that_cannot_be_read_at_all_says_so(first: LedgerStore, server: RedisServer, key: str) -> None:
    await do(first, reserve("r", KEY, of(replace(KEY, account="team"), 1)))
    server.send("SET", PREFIX + key, "not what it was")

    with pytest.raises(Overloaded) as caught:
        await do(first, reserve("r2", KEY), Settle("r", (KEY,)))

    assert (caught.value.status, caught.value.code) == (503, "budget_store_corrupt")


@pytest.mark.parametrize(
    "damage",
    [
        ("SET", "x"),
        ("HDEL", "limit"),
        ("HDEL", "held"),
        ("HSET", "settled", "1.5"),
        ("HSET", "limit", "nan"),
        ("HSET", "over", "1e400"),
        ("HSET", "buckets", "\x01"),
        ("HSET", "buckets", "oops"),
    ],
)
async def test_an_account_that_is_damaged_is_never_unlimited(
    first: LedgerStore, server: RedisServer, damage: tuple[str, ...]
) -> None:
    await do(first, reserve("r", KEY))
    command, *rest = damage
    server.send(command, PREFIX + "a:key", *rest)

    assert await do(first, reserve("r2", of(KEY, 1)), Settle("r", (KEY,))) == (Corrupt("key"), Corrupt("key"))

    server.send("DEL", PREFIX + "a:key")
    assert await do(first, Settle("r", (KEY,)), reserve("r2", of(KEY, 60))) == (Settled(0), Granted((40,), (60,)))


@pytest.mark.parametrize("row", ["\x01", "oops", "\x80", ""])
async def test_a_reservation_that_is_damaged_is_not_settled(first: LedgerStore, server: RedisServer, row: str) -> None:
    await do(first, reserve("r", KEY, lease=0), reserve("r2", of(KEY, 1), lease=0))
    server.send("HSET", PREFIX + "open", "r", row)

    outcomes = await do(first, Settle("r", (KEY,)), Sweep(1), Sweep(1))

    assert outcomes[0] == Corrupt("r")
    assert await spent_and_held(first) == (0, 40)


async def test_a_redis_that_is_away_says_so(first: LedgerStore, server: RedisServer) -> None:
    server.kill()

    for question in (first.apply(()), first.announce("me"), first.restore("me", (), ()), first.balances()):
        with pytest.raises(Overloaded) as caught:
            await question
        assert caught.value.code == "store_unavailable"


async def test_a_redis_without_memory_changes_nothing(first: LedgerStore, server: RedisServer) -> None:
    await do(first, reserve("r", KEY))
    server.send("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(Overloaded):
        await do(first, Settle("r", (KEY,)))
    server.send("CONFIG", "SET", "maxmemory", "0")

    assert await do(first, Settle("r", (KEY,))) == (Settled(0),)


async def test_the_script_is_sent_by_its_hash_and_again_when_redis_has_lost_it(
    first: LedgerStore, server: RedisServer
) -> None:
    server.send("SCRIPT", "FLUSH")
    server.send("CONFIG", "RESETSTAT")

    for number in range(5):
        await do(first, reserve(f"r{number}", of(KEY, 1)))

    told = server.send("INFO", "commandstats")
    assert b"cmdstat_evalsha:calls=5," in told
    assert b"cmdstat_eval:calls=1," in told


async def test_no_key_of_the_ledger_expires_and_all_are_in_one_slot(first: LedgerStore, server: RedisServer) -> None:
    await do(first, reserve("r", KEY, lease=0), reserve("r2", of(KEY, 1)), Settle("r2", (of(KEY, 1),)), Sweep())
    await first.announce("worker 1")

    names = [name.decode() for name in server.send("KEYS", "*ledger*").split(b"\r\n") if b"{" in name]

    assert {name.removeprefix(PREFIX) for name in names} == {"meta", "owners", "ready", "due", "a:key", "gone", "swept"}
    assert {server.send("TTL", name) for name in names} == {b":-1\r\n"}


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
async def test_a_redis_that_may_drop_budgets_is_refused(server: RedisServer, tmp_path: Path, policy: str) -> None:
    server.send("CONFIG", "SET", "maxmemory-policy", policy)

    with pytest.raises(OpenError, match=f"{policy}.*noeviction"):
        await open_store(server.url, tmp_path)


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", "volatile-ttl"])
async def test_a_redis_that_drops_only_what_expires_is_accepted(
    server: RedisServer, tmp_path: Path, policy: str
) -> None:
    server.send("CONFIG", "SET", "maxmemory-policy", policy)

    await (await open_store(server.url, tmp_path)).close()


async def test_the_nodes_of_a_cluster_are_asked_too(tmp_path: Path) -> None:
    with redis_server(cluster=True) as cluster:
        cluster.send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

        with pytest.raises(OpenError, match="allkeys-lru"):
            await open_store(f"redis+cluster://127.0.0.1:{cluster.port}", tmp_path)


async def test_a_redis_that_does_not_tell_is_accepted_with_a_warning(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    server.send("ACL", "SETUSER", "default", "-info")

    await (await open_store(server.url, tmp_path)).close()

    assert [each.message for each in caplog.records] == [
        "redis does not tell its maxmemory-policy; budgets need noeviction"
    ]
