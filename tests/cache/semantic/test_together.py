"""Two gateways on one Redis: what one keeps the other finds, and what one is told is gone is gone at the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.cache import entry
from gateway.cache.entry import Entry
from gateway.cache.semantic.asked import Asked, Found
from gateway.cache.semantic.assembly import load_minilm, load_quick
from gateway.cache.semantic.embedder import MINILM, Embedder
from gateway.cache.semantic.kept.replica import Quick
from gateway.cache.semantic.kept.shelf import Bounds
from gateway.cache.semantic.start import OnDemand
from gateway.cache.semantic.tier import Parts, Semantic
from gateway.core.clock import Clock
from gateway.core.purge import Purge
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks
from gateway.store.contract import Store
from gateway.store.redis.store import open_redis
from tests.cache.semantic.worker import (
    ORG,
    PEPPER,
    SERVES,
    asked,
    document,
    kept,
    looked,
    name,
    ready,
    step,
    worker,
)
from tests.redis_server import RedisServer, redis_server

SHEET, SHEET_TOO = "How do I open a forgotten spreadsheet?", "How can I open a forgotten spreadsheet?"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def stores(redis: RedisServer, patient: None) -> AsyncIterator[list[Store]]:
    """The store as two gateways open it."""
    redis.send("FLUSHALL")
    stores = [await open_redis(redis.url, pepper=Secret("p" * 32), clock=Clock()) for _ in range(2)]
    yield list(stores)
    for store in stores:
        await store.close()


@pytest.fixture(scope="module")
def embedders() -> tuple[Quick, Embedder]:
    """Those that ship, loaded once."""
    quick = load_quick()
    assert quick is not None
    return quick, load_minilm()


@pytest.fixture
async def gateways(stores: list[Store], embedders: tuple[Quick, Embedder]) -> AsyncIterator[list[Semantic]]:
    quick, minilm = embedders
    gateways = []
    for store in stores:
        parts = Parts(store.meanings, PEPPER, lambda: quick, lambda: minilm, MINILM, random=lambda: 0.99)
        gateways.append(await ready(Semantic(parts)))
    yield gateways
    for one in gateways:
        await one.close()


class Cache:
    """The exact cache and the orders that it knows, as the claim uses them."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.orders: list[Purge] = []

    def put(self, name: str, *, team: str) -> None:
        made = Entry("e1", "chat", time.time(), time.time() + 99, document("a"), "acme", team, "k1", "m", "support")
        self.held[name] = entry.write(made, key=name.encode(), pepper=PEPPER)

    async def claim(self, one: Semantic, call: Asked) -> Found | None:
        """A hit whose answer is there, whole, and not purged."""
        found = await looked(one, call)
        if found.verdict != "serve" or found.name is None:
            return None
        held = entry.read(self.held.get(found.name, b""), key=found.name.encode(), pepper=PEPPER)
        if held is None or any(order.kills(held) for order in self.orders):
            await one.forget([found.name])
            return None
        return found


async def test_what_one_keeps_the_other_finds(gateways: list[Semantic]) -> None:
    one, other = gateways
    await kept(one, SHEET)
    await step(other)

    found = await looked(other, asked(SHEET_TOO))

    assert (found.verdict, found.name, found.neighbour) == ("serve", name(1), SHEET)
    assert (await looked(other, asked("How do I close a forgotten spreadsheet?"))).verdict == "none"
    assert (await looked(other, asked("What is the capital of France?"))).reason == "no_neighbour"


async def test_it_is_known_without_being_asked_to_look(gateways: list[Semantic]) -> None:
    """The log is followed all the time."""
    one, other = gateways
    await kept(one, SHEET)

    async with asyncio.timeout(20):
        while (await looked(other, asked(SHEET_TOO))).verdict != "serve":
            await asyncio.sleep(0.02)
        await one.report(name(1), bad=True)
        while (await looked(other, asked(SHEET_TOO))).verdict == "serve":
            await asyncio.sleep(0.02)


async def test_a_report_removes_it_from_both(gateways: list[Semantic], redis: RedisServer) -> None:
    one, other = gateways
    await kept(one, SHEET)
    await step(other)
    assert (await looked(other, asked(SHEET_TOO))).verdict == "serve"

    await other.report(name(1), bad=True)
    await step(one)

    assert [(await looked(each, asked(SHEET_TOO))).verdict for each in gateways] == ["none", "none"]
    assert b"forgotten" not in redis.send("XRANGE", "{llmgw}:neighbours", "-", "+")


async def test_a_purge_removes_it_from_both(gateways: list[Semantic], redis: RedisServer) -> None:
    one, other = gateways
    cache = Cache()
    cache.put(name(1), team="search")
    await kept(one, SHEET)
    await step(other)
    assert await cache.claim(other, asked(SHEET_TOO)) is not None
    assert b"forgotten" in redis.send("XRANGE", "{llmgw}:neighbours", "-", "+")

    cache.orders.append(Purge(team="search", number=1))
    assert await cache.claim(other, asked(SHEET_TOO)) is None
    await step(one)

    assert [(await looked(each, asked(SHEET_TOO))).verdict for each in gateways] == ["none", "none"]
    assert b"forgotten" not in redis.send("XRANGE", "{llmgw}:neighbours", "-", "+")


async def test_an_organisations_purge_removes_all_that_it_asked(gateways: list[Semantic], redis: RedisServer) -> None:
    one, other = gateways
    await kept(one, SHEET)
    await step(other)

    await other.forget_org(ORG)
    await step(one)

    assert [each.figures()["entries"] for each in gateways] == [0, 0]
    assert b"forgotten" not in redis.send("XRANGE", "{llmgw}:neighbours", "-", "+")


async def test_what_a_worker_has_no_room_for_is_found_by_redis_itself(stores: list[Store]) -> None:
    """Vector sets, where the server has them."""
    texts = [f"How do I install {word} on Ubuntu?" for word in ("nginx", "Postgres", "Redis", "Kafka", "Django")]
    options: dict[str, Any] = {"bounds": Bounds(in_partition=2)}
    one, other = [await ready(worker(store.meanings, **options)) for store in stores]
    while one._overflow is None or other._overflow is None:
        await asyncio.sleep(0.005)
    for number, text in enumerate(texts):
        await kept(one, text, number)
    await step(one, other)
    assert one.figures()["entries"] == 2

    for each in (one, other):
        found = [(await looked(each, asked(text.replace("do I", "can I")))).name for text in texts]
        assert found == [name(number) for number in range(5)]
    await other.report(name(0), bad=True)
    await one.forget_org("f" * 16)

    assert (await looked(one, asked(texts[0].replace("do I", "can I"), rule=SERVES))).name != name(0)
    assert (await looked(one, asked(texts[1].replace("do I", "can I"), rule=SERVES))).name == name(1)
    await other.forget_org(ORG)
    await step(one)
    assert {(await looked(one, asked(text))).verdict for text in texts} == {"none"}
    for each in (one, other):
        await each.close()


async def test_it_starts_where_the_packages_are_installed_and_is_off_elsewhere(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = on_demand(stores[0])
    assert (await one.look(asked(SHEET))).reason == "loading"
    async with asyncio.timeout(30):
        while (await one.look(asked(SHEET))).reason == "loading":
            await asyncio.sleep(0.01)
    assert one.state()
    await one.close()

    monkeypatch.setattr("gateway.cache.semantic.start.NEEDED", ("numpy", "no_such_package"))
    other = on_demand(stores[0])
    await other.look(asked(SHEET))
    await asyncio.sleep(0.01)
    assert (await other.look(asked(SHEET))).reason == "off"


def on_demand(store: Store) -> OnDemand:
    return OnDemand(store.meanings, pepper=PEPPER, embeds=None, judges=None, tasks=Tasks(), clock=Clock())


async def test_what_is_known_is_found_while_redis_is_away() -> None:
    with redis_server() as redis:
        store = await open_redis(redis.url, pepper=Secret("p" * 32), clock=Clock())
        one = await ready(worker(store.meanings))
        await kept(one, SHEET)
        await step(one)
        redis.kill()

        missed = await kept(one, "Which languages does Django use?", 2)
        found = await looked(one, asked(SHEET_TOO))
        await one.report(name(1), bad=True)

        assert (missed.verdict, found.verdict) == ("none", "serve")
        assert one.figures()["not_kept_store"] == 1
        assert (await looked(one, asked(SHEET_TOO))).verdict == "none"
        await one.close()
        await store.close()
