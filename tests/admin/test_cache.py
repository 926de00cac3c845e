"""The cache as admins see it, and orders to forget."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from gateway.cache.entry import Entry, write
from gateway.cache.place import cache_pepper, key_of, place_of
from gateway.core.purge import Purge
from gateway.store.contract import Store
from gateway.store.open import open_store
from tests.admin.conftest import call, refused
from tests.conftest import House


@pytest.fixture
async def store(house: House) -> AsyncIterator[Store]:
    """As another worker has it."""
    store = await open_store("embedded", house.data)
    yield store
    await store.close()


async def put(store: Store, number: int, **marks: Any) -> str:
    """The name of a new answer."""
    pepper, now = cache_pepper(store.pepper), time.time()
    marks = {
        "org": "acme",
        "team": "search",
        "key_id": "k1",
        "model": "demo",
        "route": "chat",
        "tags": ("docs",),
        **marks,
    }
    name = f"{place_of(pepper, marks['org'])}:{number:064x}"
    key = key_of(name)
    assert key is not None
    entry = Entry(
        id=f"ce_{number}",
        operation="chat",
        created=now,
        expires=now + 60.0,
        document='{"choices":["é"]}'.encode(),
        purges=(await store.changes()).purges or 0,
        cost=1500,
        took=0.25,
        question="what is kept?",
        **marks,
    )
    await store.cache.put(name, write(entry, key=key, pepper=pepper), ttl=60.0)
    return name


async def get(admin: aiohttp.ClientSession, path: str, **query: str) -> Any:
    async with admin.get(f"/admin/v1/{path}", params=query) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json()


async def purge(admin: aiohttp.ClientSession, body: object) -> Any:
    async with admin.post("/admin/v1/cache:purge", json=body) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json()


async def ids(admin: aiohttp.ClientSession, **query: str) -> list[str]:
    return sorted(each["id"] for each in (await get(admin, "cache/entries", **query))["entries"])


async def test_what_is_kept_and_what_it_did_can_be_seen(
    house: House, admin: aiohttp.ClientSession, store: Store
) -> None:
    await put(store, 1)
    await call(house, house.key)

    seen = await get(admin, "cache")

    assert (seen["size"]["entries"], seen["size"]["dropped"]) == (1, 0)
    assert seen["size"]["bytes"] > 0
    assert seen["orders"] == [{"number": (await store.changes()).purges}]
    assert seen["total"]["calls"] == sum(each["calls"] for each in seen["routes"]) == 1
    assert seen["until"] - seen["since"] >= 3600


async def test_answers_are_listed_without_their_text_and_shown_whole_by_name(
    admin: aiohttp.ClientSession, store: Store
) -> None:
    name = await put(store, 1)
    await put(store, 2, org="umbrella", team=None, tags=())

    listed = (await get(admin, "cache/entries", org="acme"))["entries"]
    whole = await get(admin, f"cache/entries/{name}")

    assert [each["name"] for each in listed] == [name]
    assert "document" not in listed[0]
    assert "question" not in listed[0]
    assert whole == {**listed[0], "question": "what is kept?", "document": '{"choices":["é"]}'}
    assert (whole["cost_nano_usd"], whole["took_ms"], whole["tags"], whole["route"]) == (1500, 250.0, ["docs"], "chat")
    for missing in (name[:-1] + "f", "x", "%2e%2e", "%00"):
        async with admin.get(f"/admin/v1/cache/entries/{missing}") as reply:
            assert await refused(reply) == (404, "not_found")


async def test_every_mark_finds_and_pages_go_on(admin: aiohttp.ClientSession, store: Store) -> None:
    for number in range(5):
        await put(store, number, template="t@1" if number else "")

    for query in ({"team": "search"}, {"key_id": "k1"}, {"model": "demo"}, {"route": "chat"}, {"tag": "docs"}, {}):
        assert len(await ids(admin, **query)) == 5
        assert await ids(admin, **{**query, "template": "t@1"}) == ["ce_1", "ce_2", "ce_3", "ce_4"]
    assert await ids(admin, template="") == ["ce_0"]
    first = await get(admin, "cache/entries", limit="3")
    rest = await get(admin, "cache/entries", limit="3", after=first["after"])
    assert [len(first["entries"]), len(rest["entries"]), rest["after"]] == [3, 2, None]


async def test_a_purge_forgets_what_has_all_its_marks_for_every_worker(
    admin: aiohttp.ClientSession, store: Store
) -> None:
    await put(store, 1)
    await put(store, 2, team="sales")
    before = (await store.changes()).purges

    done = await purge(admin, {"org": "acme", "team": "search"})

    assert before is not None
    assert done == {"number": before + 1, "removed": 1, "is_removing": False}
    assert (await store.changes()).purges == done["number"]
    assert (await store.cache.orders())[-1] == Purge(org="acme", team="search", number=done["number"])
    assert await ids(admin) == ["ce_2"]
    assert (await get(admin, "cache"))["orders"][0] == {"org": "acme", "team": "search", "number": done["number"]}


async def test_one_answer_and_everything_can_be_forgotten(admin: aiohttp.ClientSession, store: Store) -> None:
    for number in range(3):
        await put(store, number)

    assert (await purge(admin, {"entry": "ce_1"}))["removed"] == 1
    assert await ids(admin) == ["ce_0", "ce_2"]
    assert (await purge(admin, {"all": True}))["removed"] == 2
    assert await ids(admin) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_parameter"),
        ({"all": False}, "missing_parameter"),
        ({"org": None}, "missing_parameter"),
        ({"all": True, "org": "acme"}, "invalid_value"),
        ({"all": "yes"}, "invalid_type"),
        ({"org": ["acme"]}, "invalid_type"),
        ({"organisation": "acme"}, "unknown_parameter"),
        ([], "invalid_json"),
    ],
)
async def test_a_purge_that_does_not_say_what_it_means_is_refused(
    admin: aiohttp.ClientSession, store: Store, body: object, code: str
) -> None:
    before = await store.cache.orders()
    async with admin.post("/admin/v1/cache:purge", json=body) as reply:
        assert await refused(reply) == (400, code)

    assert await store.cache.orders() == before
