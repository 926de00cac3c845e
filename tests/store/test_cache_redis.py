"""What is particular to kept answers in Redis: how it refuses, goes away and loses things."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from gateway.core.errors import Overloaded
from gateway.core.purge import Purge
from gateway.store.contract import PURGE_TTL, Store
from tests.redis_server import RedisServer, redis_server
from tests.store.conftest import Opens
from tests.store.test_redis import answers


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
)
@pytest.mark.usefixtures("patient")
async def test_a_redis_that_takes_no_writes_still_gives_what_it_has_and_the_rest_does_not_notice(
    store: Store, server: RedisServer, break_it: tuple[str, ...], mend_it: tuple[str, ...]
) -> None:
    await store.cache.put("a", b"x", ttl=60.0)
    before = await store.changes()

    server.send(*break_it)
    for _ in range(10):
        with pytest.raises(Overloaded):
            await store.cache.put("b", b"x", ttl=60.0)
        assert await store.cache.get("a") == b"x"
    assert await store.changes() == before
    server.send(*mend_it)
    await store.cache.put("b", b"x", ttl=60.0)

    assert (await store.cache.size()).dropped == 10


async def test_nobody_waits_for_a_cache_that_is_silent_and_it_is_used_again_soon(
    store: Store, server: RedisServer
) -> None:
    await answers(lambda: store.cache.put("a", b"x", ttl=60.0))

    server.pause()
    async with asyncio.timeout(10.0):
        for _ in range(10):
            with pytest.raises(Overloaded):
                await store.cache.get("a")
    server.resume()

    await answers(lambda: store.cache.get("a"))


@pytest.mark.usefixtures("patient")
async def test_redis_itself_forgets_answers_when_their_time_has_passed(store: Store, server: RedisServer) -> None:
    await store.cache.put("a", b"x", ttl=60.0)
    await store.cache.put("b", b"x", ttl=1e12)

    assert 50_000 < int(server.send("PTTL", "llmgw:c:a")[1:]) <= 60_000
    assert 0 < int(server.send("PTTL", "llmgw:c:b")[1:]) <= PURGE_TTL * 1000


@pytest.mark.usefixtures("patient")
async def test_orders_that_were_lost_while_answers_survived_forget_everything(
    store: Store, other: Store, server: RedisServer
) -> None:
    """As by a failover to a replica that had not yet heard of the last order."""
    await store.cache.put("a", b"x", ttl=60.0)
    first = await store.cache.order(Purge(org="acme"))
    second = await store.cache.order(Purge(org="other"))
    assert (await other.changes()).purges == second
    server.send("HSET", "{llmgw}:changes", "purges", str(first))
    server.send("RPOP", "{llmgw}:purges")

    new = (await other.changes()).purges

    assert new is not None
    assert new > second
    assert (await store.changes()).purges == new
    assert (await store.cache.orders())[-1] == Purge(number=new)
    assert await store.cache.order(Purge(org="acme")) == new + 1


@pytest.mark.usefixtures("patient")
async def test_an_order_that_was_read_but_not_yet_told_of_is_missed_too(
    store: Store, other: Store, server: RedisServer
) -> None:
    first = (await other.changes()).purges
    last = await store.cache.order(Purge(org="acme"))
    await other.cache.orders()
    server.send("HSET", "{llmgw}:changes", "purges", str(first))
    server.send("RPOP", "{llmgw}:purges")

    assert ((await other.changes()).purges or 0) > last


@pytest.mark.usefixtures("patient")
async def test_an_order_that_is_given_while_the_last_ones_are_lost_has_a_number_of_its_own(
    store: Store, server: RedisServer
) -> None:
    last = await store.cache.order(Purge(org="acme"))
    server.send("HDEL", "{llmgw}:changes", "purges")
    server.send("DEL", "{llmgw}:purges")

    number = await store.cache.order(Purge(org="other"))

    assert number > last + 1
    assert [order.number for order in await store.cache.orders()] == [number - 1, number]
    assert (await store.cache.orders())[0] == Purge(number=number - 1)


@pytest.mark.usefixtures("patient")
async def test_a_flush_of_redis_forgets_everything(store: Store, other: Store, server: RedisServer) -> None:
    await store.cache.put("a", b"x", ttl=60.0)
    last = (await store.changes()).purges
    server.send("FLUSHALL")

    new = (await other.changes()).purges

    assert last is not None
    assert new is not None
    assert new > last
    assert await other.cache.get("a") is None
    assert list(await other.cache.orders()) == [Purge(number=new)]


@pytest.mark.usefixtures("patient")
async def test_an_order_wakes_the_workers(store: Store, other: Store, server: RedisServer) -> None:
    await answers(_subscribed(server))
    waiting = asyncio.create_task(other.pushed(within=60.0))
    await asyncio.sleep(0)

    async with asyncio.timeout(5.0):
        await store.cache.order(Purge(org="acme"))
        await waiting


def _subscribed(server: RedisServer) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        if b":2\r\n" not in server.send("PUBSUB", "NUMSUB", "llmgw:changed"):
            raise Overloaded("not yet")

    return check


@pytest.mark.usefixtures("patient")
async def test_an_order_that_another_version_wrote_and_we_cannot_read_forgets_everything(
    store: Store, server: RedisServer
) -> None:
    last = (await store.changes()).purges
    assert last is not None
    server.send("RPUSH", "{llmgw}:purges", f"{last + 1} {int(time.time() * 1000)} " + '{"org":["a","b"]}')

    assert (await store.cache.orders())[-1] == Purge(number=last + 1)


@pytest.mark.usefixtures("patient")
async def test_what_was_evicted_is_counted(opens: Opens, server: RedisServer) -> None:
    server.send("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    store = await opens()
    server.send("CONFIG", "SET", "maxmemory", "4mb")

    for number in range(60):
        await store.cache.put(str(number), bytes(200_000), ttl=60.0)

    size = await store.cache.size()
    assert 0 < size.entries < 30
    assert 60 - size.entries <= size.dropped < 60
