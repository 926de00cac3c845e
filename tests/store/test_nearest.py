"""Partitions that the server searches itself: Redis 8's vector sets, and a search module as far as a fake can tell."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator

import pytest

from gateway.store.contract import NearestStore
from gateway.store.redis.connect import connect
from gateway.store.redis.meanings import SEARCHES, RedisMeanings
from gateway.store.redis.search_module import SearchModule
from gateway.store.redis.server import Server
from gateway.store.redis.vector_sets import VectorSets
from tests.redis_server import RedisServer
from tests.store.fake_search import FakeSearch

pytestmark = pytest.mark.usefixtures("patient")

ORG, OTHER_ORG = "a" * 16, "b" * 16
PART, OTHER_PART = "01" * 32, "02" * 32
SOON = 3600.0


def name(number: int, org: str = ORG) -> str:
    return f"{org}:{number:064x}"


def vector(*numbers: float) -> bytes:
    length = sum(number * number for number in numbers) ** 0.5
    return struct.pack(f"<{len(numbers)}f", *(number / length for number in numbers))


@pytest.fixture(params=["redis", "redis+cluster"])
async def sets(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    server: RedisServer = request.getfixturevalue("shared_redis" if request.param == "redis" else "shared_cluster")
    server.send("FLUSHALL")
    link = Server(connect(f"{request.param}://127.0.0.1:{server.port}"), name="vectors")
    yield link
    await link.close()


@pytest.fixture
async def fake() -> AsyncIterator[FakeSearch]:
    async with FakeSearch() as fake:
        yield fake


@pytest.fixture(params=["vector sets", "search module"])
async def nearest(request: pytest.FixtureRequest, shared_redis: RedisServer) -> AsyncIterator[NearestStore]:
    shared_redis.send("FLUSHALL")
    async with FakeSearch() as fake:
        is_sets = request.param == "vector sets"
        link = Server(connect(shared_redis.url if is_sets else fake.url), name="nearest")
        yield VectorSets(link) if is_sets else SearchModule(link)
        await link.close()


async def test_the_nearest_of_the_partition_are_found(nearest: NearestStore) -> None:
    for number, numbers in enumerate([(1, 0, 0), (1, 0.2, 0), (0, 1, 0), (0, 0, 1)]):
        await nearest.add(PART, name(number), vector(*numbers), b"\x00%d" % number, expires=time.time() + SOON)
    await nearest.add(OTHER_PART, name(9), vector(1, 0, 0), b"other", expires=time.time() + SOON)

    found = await nearest.search(PART, ORG, vector(1, 0.01, 0), most=2)

    assert dict(found) == {name(0): b"\x000", name(1): b"\x001"}
    assert await nearest.search("03" * 32, ORG, vector(1, 0, 0), most=2) == []


async def test_what_is_removed_is_not_found(nearest: NearestStore) -> None:
    for number in range(3):
        await nearest.add(PART, name(number), vector(1, number, 0), b"%d" % number, expires=time.time() + SOON)

    await nearest.remove([name(0), name(7)])

    assert {one for one, _ in await nearest.search(PART, ORG, vector(1, 0, 0), most=5)} == {name(1), name(2)}


async def test_an_organisation_is_forgotten_and_no_other(nearest: NearestStore) -> None:
    await nearest.add(PART, name(1), vector(1, 0), b"mine", expires=time.time() + SOON)
    await nearest.add(OTHER_PART, name(2), vector(1, 0), b"mine too", expires=time.time() + SOON)
    await nearest.add("03" * 32, name(3, OTHER_ORG), vector(1, 0), b"theirs", expires=time.time() + SOON)

    await nearest.remove_org(ORG)

    assert await nearest.search(PART, ORG, vector(1, 0), most=5) == []
    assert await nearest.search(OTHER_PART, ORG, vector(1, 0), most=5) == []
    assert await nearest.search("03" * 32, OTHER_ORG, vector(1, 0), most=5) == [(name(3, OTHER_ORG), b"theirs")]


async def test_vectors_of_another_length_find_nothing(nearest: NearestStore) -> None:
    await nearest.add(PART, name(1), vector(1, 0, 0), b"x", expires=time.time() + SOON)

    assert await nearest.search(PART, ORG, vector(1, 0), most=5) == []


async def test_what_has_expired_is_not_added(nearest: NearestStore) -> None:
    await nearest.add(PART, name(1), vector(1, 0, 0), b"x", expires=time.time() - 1)

    assert await nearest.search(PART, ORG, vector(1, 0, 0), most=5) == []


async def test_of_too_many_those_that_expire_first_are_gone(sets: Server) -> None:
    nearest = VectorSets(sets, most=3)
    for number in (2, 0, 3, 1, 4):
        await nearest.add(PART, name(number), vector(1, number), b"x", expires=time.time() + SOON + number)

    found = await nearest.search(PART, ORG, vector(1, 0), most=9)
    assert {one for one, _ in found} == {name(2), name(3), name(4)}  # 0 made room for 1, which made room for 4


async def test_a_vector_set_ends_with_its_last_entry(sets: Server) -> None:
    nearest = VectorSets(sets)
    await nearest.add(PART, name(1), vector(1, 0), b"x", expires=time.time() + 0.5)

    async with asyncio.timeout(30):
        while await sets.command("DBSIZE"):
            await asyncio.sleep(0.02)

    assert await nearest.search(PART, ORG, vector(1, 0), most=9) == []


async def test_a_redis_that_has_vector_sets_is_let_search(sets: Server) -> None:
    assert isinstance(await RedisMeanings(sets).nearest(), VectorSets)


async def test_a_redis_without_them_is_not_asked_to(sets: Server) -> None:
    """As Redis 7 and older: only what is not there differs."""
    without = {command: search for command, search in SEARCHES.items() if command != "VADD"}

    assert await RedisMeanings(sets, without).nearest() is None


async def test_a_server_with_a_search_module_is_let_search(fake: FakeSearch) -> None:
    link = Server(connect(fake.url), name="fake")

    assert isinstance(await RedisMeanings(link).nearest(), SearchModule)
    await link.close()


async def test_a_server_that_tells_nothing_of_its_commands_is_not_let_search() -> None:
    async with FakeSearch(tells=False) as fake:
        link = Server(connect(fake.url), name="fake")

        assert await RedisMeanings(link).nearest() is None
        await link.close()
