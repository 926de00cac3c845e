"""Who gets an answer from a provider, and letters between workers: what every store that has them promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.core.boarding import Boarded
from gateway.store.contract import FlightStore, Store
from tests.redis_server import RedisServer

NAME = "0123456789abcdef:" + "a" * 64

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def flights(store: Store) -> FlightStore:
    if store.flights is None:
        pytest.skip("workers of this store do not tell each other")
    return store.flights


@pytest.fixture
def others(other: Store) -> FlightStore:
    assert other.flights is not None
    return other.flights


class Heard:
    """What a worker was told."""

    def __init__(self) -> None:
        self.letters: asyncio.Queue[bytes] = asyncio.Queue()
        self.listening = asyncio.Event()

    def listen(self, is_listening: bool) -> None:
        (self.listening.set if is_listening else self.listening.clear)()


@asynccontextmanager
async def hearing(flights: FlightStore, worker: str) -> AsyncIterator[Heard]:
    heard = Heard()
    task = asyncio.ensure_future(flights.hear(worker, heard.letters.put_nowait, heard.listen))
    try:
        async with asyncio.timeout(10):
            await heard.listening.wait()
            yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_first_leads_and_the_others_learn_of_it(flights: FlightStore, others: FlightStore) -> None:
    assert await flights.board(NAME, b"1 a") == Boarded(leader=b"1 a")
    assert await others.board(NAME, b"1 b") == Boarded(leader=b"1 a")
    assert await others.board(NAME[:-1] + "b", b"1 b") == Boarded(leader=b"1 b")


async def test_a_kept_answer_is_given_at_once_and_nobody_leads(store: Store, flights: FlightStore) -> None:
    await store.cache.put(NAME, b"answer", ttl=60.0)

    assert await flights.board(NAME, b"1 a") == Boarded(value=b"answer")
    assert await flights.board(NAME, b"1 b", kept=False) == Boarded(leader=b"1 b")


async def test_a_leader_that_is_gone_is_replaced_by_one(flights: FlightStore, others: FlightStore) -> None:
    await flights.board(NAME, b"1 a")

    assert await others.board(NAME, b"1 b", gone=b"1 x") == Boarded(leader=b"1 a")
    assert await others.board(NAME, b"1 b", gone=b"1 a") == Boarded(leader=b"1 b")
    assert await flights.board(NAME, b"1 c", gone=b"1 a") == Boarded(leader=b"1 b")


async def test_a_leader_gives_way_to_one_that_knows_of_a_later_order_to_forget(flights: FlightStore) -> None:
    await flights.board(NAME, b"9 a")

    assert await flights.board(NAME, b"10 b") == Boarded(leader=b"10 b")
    assert await flights.board(NAME, b"9 c") == Boarded(leader=b"10 b")


async def test_only_its_own_mark_is_released(flights: FlightStore) -> None:
    await flights.board(NAME, b"1 a")
    await flights.release(NAME, b"1 b")
    assert await flights.board(NAME, b"1 b") == Boarded(leader=b"1 a")
    await flights.release(NAME, b"1 a")
    assert await flights.board(NAME, b"1 b") == Boarded(leader=b"1 b")


@pytest.mark.parametrize("is_renewed", [True, False])
async def test_a_mark_is_gone_a_lease_after_it_was_made_or_renewed(
    flights: FlightStore, others: FlightStore, monkeypatch: pytest.MonkeyPatch, is_renewed: bool
) -> None:
    if is_renewed:
        await flights.board(NAME, b"1 a")
    monkeypatch.setattr("gateway.store.redis.flights.LEASE", 1)
    await (flights.renew(NAME, b"1 a") if is_renewed else flights.board(NAME, b"1 a"))

    while (await others.board(NAME, b"1 b")).leader != b"1 b":
        await asyncio.sleep(0.001)


async def test_letters_go_to_all_who_are_named_and_to_nobody_else(flights: FlightStore, others: FlightStore) -> None:
    async with hearing(flights, "a") as one, hearing(others, "b") as two, hearing(others, "c") as three:
        assert await others.send(["a", "b"], b"\x00letter\xff")
        assert await flights.send(["c"], b"last")

        assert await one.letters.get() == await two.letters.get() == b"\x00letter\xff"
        assert await three.letters.get() == b"last"
        assert one.letters.empty()


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_it_is_known_at_once_that_a_worker_is_dead(flights: FlightStore, others: FlightStore) -> None:
    async with hearing(others, "b"):
        assert await flights.send(["b"], b"letter")
    while await flights.send(["b"], b"letter"):
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_a_worker_hears_again_after_its_connection_was_cut(
    flights: FlightStore, shared_redis: RedisServer
) -> None:
    async with hearing(flights, "a") as heard:
        shared_redis.send("CLIENT", "KILL", "TYPE", "pubsub")
        while not await flights.send(["a"], b"letter"):
            await asyncio.sleep(0.01)

        assert await heard.letters.get() == b"letter"
        assert heard.listening.is_set()


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_a_quiet_connection_is_asked_and_kept(
    flights: FlightStore, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.redis.server.SILENT", 0.01)
    lost = []
    heard = Heard()

    def listen(is_listening: bool) -> None:
        heard.listen(is_listening)
        lost.append(not is_listening)

    task = asyncio.ensure_future(flights.hear("a", heard.letters.put_nowait, listen))
    await heard.listening.wait()
    shared_redis.send("CONFIG", "RESETSTAT")
    while b"cmdstat_ping:calls=3" not in shared_redis.send("INFO", "commandstats"):
        await asyncio.sleep(0.01)
    assert lost == [False]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("url", ["redis"], indirect=True)
@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
)
async def test_a_redis_that_takes_no_writes_gives_what_it_keeps_and_lets_nobody_lead(
    store: Store,
    flights: FlightStore,
    shared_redis: RedisServer,
    break_it: tuple[str, ...],
    mend_it: tuple[str, ...],
) -> None:
    await store.cache.put(NAME, b"answer", ttl=60.0)
    other = NAME[:-1] + "b"
    shared_redis.send(*break_it)
    try:
        assert await flights.board(NAME, b"1 a") == Boarded(value=b"answer")
        assert await flights.board(other, b"1 a") == Boarded()
    finally:
        shared_redis.send(*mend_it)
    assert await flights.board(other, b"1 a") == Boarded(leader=b"1 a")


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_what_is_no_mark_stands_in_nobodys_way(flights: FlightStore, shared_redis: RedisServer) -> None:
    place = "llmgw:f:{llmgw:c:" + NAME + "}"
    shared_redis.send("SET", place, "nonsense")
    assert await flights.board(NAME, b"1 a") == Boarded(leader=b"1 a")
    shared_redis.send("DEL", place)
    shared_redis.send("LPUSH", place, "nonsense")
    assert await flights.board(NAME, b"1 a") == Boarded()
    await flights.renew(NAME, b"1 a")
    await flights.release(NAME, b"1 a")
