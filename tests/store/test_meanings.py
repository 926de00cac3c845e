"""What the semantic cache shares, promised by every store and tried on each."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from gateway.core.clock import Clock
from gateway.core.neighbour import Logged, Versioned
from gateway.store.contract import NEIGHBOURS, NeighbourStore, Store
from gateway.store.redis.connect import connect
from gateway.store.redis.neighbours import RedisNeighbours
from gateway.store.redis.server import Server
from gateway.store.sqlite.meanings import SqliteMeanings, SqliteNeighbours
from tests.store.conftest import Opens

pytestmark = pytest.mark.usefixtures("patient")

ORG, OTHER_ORG = "a" * 16, "b" * 16
SOON = 3600.0


def name(number: int, org: str = ORG) -> str:
    return f"{org}:{number:064x}"


async def every(store: Store, place: str = "") -> list[Logged]:
    found: list[Logged] = []
    while True:
        some, place = await store.meanings.neighbours.after(place, limit=3)
        if not some:
            return found
        found += some


async def test_what_one_adds_the_other_reads_in_order_and_once(store: Store, other: Store) -> None:
    for number in range(7):
        await store.meanings.neighbours.add(name(number), b"\x00v%d\xff" % number, expires=time.time() + SOON)

    first, place = await other.meanings.neighbours.after("", limit=4)
    rest, end = await other.meanings.neighbours.after(place, limit=100)

    assert [*first, *rest] == [Logged(name(number), b"\x00v%d\xff" % number) for number in range(7)]
    assert await other.meanings.neighbours.after(end, limit=100) == ([], end)


async def test_an_empty_log_has_nothing(store: Store) -> None:
    assert await store.meanings.neighbours.after("", limit=10) == ([], "")


async def test_a_name_has_its_last_value_alone(store: Store) -> None:
    for value in (b"old", b"new"):
        await store.meanings.neighbours.add(name(1), value, expires=time.time() + SOON)

    assert await every(store) == [Logged(name(1), b"new")]


async def test_a_removal_is_told_and_the_value_is_gone(store: Store, other: Store) -> None:
    for number in (1, 2):
        await store.meanings.neighbours.add(name(number), b"text", expires=time.time() + SOON)
    _, place = await other.meanings.neighbours.after("", limit=10)

    await store.meanings.neighbours.remove([name(1), name(3)])

    later, _ = await other.meanings.neighbours.after(place, limit=10)
    assert later == [Logged(name(1), None), Logged(name(3), None)]
    assert await every(store) == [Logged(name(2), b"text"), *later]


async def test_an_organisation_is_forgotten_and_no_other(store: Store) -> None:
    for number in range(250):
        await store.meanings.neighbours.add(name(number), b"text", expires=time.time() + SOON)
    await store.meanings.neighbours.add(name(1, OTHER_ORG), b"theirs", expires=time.time() + SOON)

    await store.meanings.neighbours.remove_org(ORG)

    told = await every(store)
    assert [one for one in told if one.value is not None] == [Logged(name(1, OTHER_ORG), b"theirs")]
    assert {one.name for one in told if one.value is None} == {name(number) for number in range(250)}


async def test_what_has_expired_is_not_added_and_is_swept_away(opens: Opens) -> None:
    early = await opens(clock=replace(Clock(), now=lambda: time.time() - 10 * SOON))
    store = await opens()
    await early.meanings.neighbours.add(name(1), b"old", expires=time.time() - SOON)  # Redis has a clock of its own
    await store.meanings.neighbours.add(name(2), b"new", expires=time.time() + SOON)
    await store.meanings.neighbours.add(name(3), b"gone", expires=time.time() - 1)

    await store.meanings.neighbours.sweep()

    assert await every(store) == [Logged(name(2), b"new")]


async def test_what_expires_later_is_swept_away_then(store: Store) -> None:
    await store.meanings.neighbours.add(name(1), b"short", expires=time.time() + 0.5)
    await store.meanings.neighbours.add(name(2), b"long", expires=time.time() + SOON)

    async with asyncio.timeout(30):
        while len(await every(store)) > 1:
            await asyncio.sleep(0.02)
            await store.meanings.neighbours.sweep()

    assert await every(store) == [Logged(name(2), b"long")]


async def test_of_too_many_the_oldest_are_gone(store: Store, opens: Opens, url: str) -> None:
    bounded = _bounded(store, url, most=5)
    for number in range(12):
        await bounded.add(name(number), b"text", expires=time.time() + SOON)

    assert [one.name for one in await every(store)] == [name(number) for number in range(7, 12)]
    await bounded.remove([name(11), name(20)])
    assert [one.name for one in await every(store)] == [name(number) for number in (8, 9, 10, 11, 20)]
    if isinstance(bounded, RedisNeighbours):
        await bounded._server.close()


def _bounded(store: Store, url: str, *, most: int) -> NeighbourStore:
    assert most < NEIGHBOURS
    if isinstance(store.meanings, SqliteMeanings):
        return SqliteNeighbours(store.meanings._file, Clock(), most=most)
    return RedisNeighbours(Server(connect(url), name="bounded"), most=most)


async def test_what_is_earned_is_changed_by_whoever_knows_the_last_version(store: Store, other: Store) -> None:
    assert await store.meanings.earned.get("route") is None

    assert await store.meanings.earned.put("route", b"\x00one ", version=0)
    assert not await other.meanings.earned.put("route", b"two", version=0)
    assert await other.meanings.earned.get("route") == Versioned(b"\x00one ", 1)
    assert await other.meanings.earned.put("route", b"two", version=1)
    assert not await store.meanings.earned.put("route", b"three", version=1)

    assert await store.meanings.earned.get("route") == Versioned(b"two", 2)
    assert await store.meanings.earned.get("another") is None


async def test_of_many_who_change_it_at_once_one_does(store: Store, other: Store) -> None:
    tries = [one.meanings.earned.put("route", b"x", version=0) for one in (store, other) for _ in range(10)]

    assert sum(await asyncio.gather(*tries)) == 1
