"""Templates that admins put: all of them are one thing with a number, on every store."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.policy.stored import Put, StoredTemplates
from gateway.store.contract import Store
from gateway.store.open import open_store
from tests.redis_server import RedisServer
from tests.store.conftest import Opens

VALUE = bytes(range(256))


async def test_what_was_put_is_there_for_all_and_what_was_removed_is_not(store: Store, other: Store) -> None:
    assert await store.templates.load() == (0, {})

    assert await store.templates.change({"a": VALUE, "b": b""}, since=0)
    assert await other.templates.load() == (1, {"a": VALUE, "b": b""})
    assert (await other.changes()).templates == 1
    assert await other.templates.change({"a": None, "c": b"c", "nobody": None}, since=1)

    assert await store.templates.load() == (2, {"b": b"", "c": b"c"})
    assert (await store.changes()).templates == 2


async def test_a_change_of_what_somebody_else_changed_does_nothing(store: Store, other: Store) -> None:
    assert await store.templates.change({"a": b"1"}, since=0)

    assert not await other.templates.change({"b": b"2", "a": None}, since=0)
    assert await store.templates.load() == (1, {"a": b"1"})

    both = [(store, b"3"), (other, b"4"), (store, b"5"), (other, b"6")]
    outcomes = await asyncio.gather(*(each.templates.change({"a": value}, since=1) for each, value in both))
    assert sorted(outcomes) == [False, False, False, True]
    (kept,) = (await other.templates.load())[1].values()
    assert kept == both[outcomes.index(True)][1]


async def test_many_large_ones_are_loaded_within_the_patience_of_the_store(store: Store, other: Store) -> None:
    values = {f"t{number}": b"x" * 1024 * 1024 for number in range(8)}
    for number, (name, value) in enumerate(values.items()):
        assert await store.templates.change({name: value}, since=number)

    assert await other.templates.load() == (8, values)


async def test_templates_outlive_the_workers(opens: Opens, url: str, tmp_path: Path) -> None:
    store = await open_store(url, tmp_path)
    await store.templates.change({"a": VALUE}, since=0)
    await store.close()

    again = await opens()

    assert await again.templates.load() == (1, {"a": VALUE})


async def test_what_redis_has_lost_is_put_back_by_whoever_asks_first(shared_redis: RedisServer, tmp_path: Path) -> None:
    shared_redis.send("FLUSHALL")
    redis = await open_store(shared_redis.url, tmp_path)
    await redis.templates.change({"a": VALUE}, since=0)
    await redis.templates.change({"b": b"b"}, since=1)
    assert await redis.templates.load() == (2, {"a": VALUE, "b": b"b"})

    shared_redis.send("FLUSHALL")

    assert await redis.templates.load() == (3, {"a": VALUE, "b": b"b"})
    assert not await redis.templates.change({"a": None}, since=2)
    assert await redis.templates.change({"a": None}, since=3)
    await redis.close()


async def test_a_value_that_cannot_be_read_does_not_count(store: Store) -> None:
    await store.templates.change({"odd": b"\xff", "new": b"\x91"}, since=0)
    stored = StoredTemplates(store.templates)
    put = Put(b"text", "admin", "why", 1.5)

    assert await stored.change({"good": put}, since=1)
    await stored.refresh()

    assert (stored.number, dict(stored.named()), stored.texts()) == (2, {"good": put}, {"good": b"text"})
