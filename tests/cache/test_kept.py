"""The kept answers as admins see them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cache import kept as module
from gateway.cache.entry import Entry, write
from gateway.cache.kept import Kept
from gateway.cache.place import cache_pepper, key_of, place_of
from gateway.cache.purges import Purges
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.purge import Purge
from gateway.core.secret import Secret
from gateway.store.contract import Store
from gateway.store.open import open_store

EVERY = Purge()


@dataclass
class Shelf:
    store: Store
    purges: Purges
    kept: Kept

    async def put(
        self, number: int, *, org: str = "acme", team: str | None = "search", purges: int | None = None
    ) -> str:
        """The name of a new answer."""
        pepper = cache_pepper(self.store.pepper)
        name = f"{place_of(pepper, org)}:{number:064x}"
        key = key_of(name)
        assert key is not None
        now = time.time()
        entry = Entry(
            id=f"ce_{number}",
            operation="chat",
            created=now,
            expires=now + 60.0,
            document=b'{"choices":[]}',
            org=org,
            team=team,
            key_id="k1",
            model="m",
            tags=("docs",),
            purges=self.purges.number if purges is None else purges,
        )
        await self.store.cache.put(name, write(entry, key=key, pepper=pepper), ttl=60.0)
        return name

    async def ids(self, marks: Purge = EVERY, *, limit: int = 50) -> list[str]:
        ids, after = [], ""
        while True:
            found, after = await self.kept.search(marks, after=after, limit=limit)
            ids += [each.entry.id for each in found]
            if not after:
                return sorted(ids)

    async def removed(self, marks: Purge) -> int:
        return sum([removed async for removed in self.kept.remove(marks)])


@pytest.fixture
async def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelf]:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(module, "AWAY", 0.0)
    store = await open_store("embedded", tmp_path)
    purges = Purges(store.cache)
    await purges.refresh((await store.changes()).purges or 0, 0.0)
    yield Shelf(store, purges, Kept(store.cache, purges, store.pepper, Clock()))
    await store.close()


async def test_answers_are_found_by_what_they_are_marked_with(shelf: Shelf) -> None:
    for number in range(5):
        await shelf.put(number)
    await shelf.put(5, org="umbrella", team=None)

    assert await shelf.ids(limit=2) == [f"ce_{number}" for number in range(6)]
    assert await shelf.ids(Purge(org="umbrella")) == ["ce_5"]
    assert await shelf.ids(Purge(team="search", tag="docs"), limit=2) == [f"ce_{number}" for number in range(5)]
    assert await shelf.ids(Purge(tag="other")) == []


async def test_a_search_ends_before_it_takes_too_long(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 10)
    for number in range(30):
        await shelf.put(number)

    found, after = await shelf.kept.search(Purge(tag="other"), after="", limit=4)

    assert (list(found), after != "") == ([], True)


async def test_one_is_found_by_its_name_and_nothing_by_what_is_no_name(shelf: Shelf) -> None:
    name = await shelf.put(1)
    await shelf.store.cache.put("rubbish", b"x", ttl=60.0)

    found = await shelf.kept.find(name)

    assert found is not None
    assert found.entry.id == "ce_1"
    for other in ("rubbish", "", name[:-1], name.upper(), "\udc80", name + "0", f"{name}\n"):
        assert await shelf.kept.find(other) is None


async def test_what_is_forgotten_is_not_shown_and_its_bytes_are_removed(shelf: Shelf) -> None:
    for number in range(150):
        await shelf.put(number)
    await shelf.put(200, team="sales")

    number = await shelf.kept.order(Purge(org="acme", team="search"))

    assert await shelf.ids() == ["ce_200"]
    assert shelf.purges.number == number
    assert await shelf.removed(Purge(org="acme", team="search")) == 150
    assert (await shelf.store.cache.size()).entries == 1


async def test_an_answer_that_was_made_under_orders_we_do_not_know_is_neither_shown_nor_removed(shelf: Shelf) -> None:
    await shelf.put(1, purges=shelf.purges.number + 5)

    assert await shelf.ids() == []
    assert await shelf.removed(Purge(tag="docs")) == 0
    assert (await shelf.store.cache.size()).entries == 1


async def test_what_we_cannot_read_is_removed_with_everything_and_with_nothing_else(shelf: Shelf) -> None:
    name = await shelf.put(1)
    await shelf.store.cache.put(name, b"lgc1 but not ours", ttl=60.0)

    assert await shelf.ids() == []
    assert await shelf.removed(Purge(tag="docs")) == 0
    assert await shelf.removed(Purge()) == 1


async def test_a_removal_outlives_a_store_that_is_away_for_a_while(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelf.put(1)
    await shelf.kept.order(Purge())
    page, failures = shelf.store.cache.page, iter(range(3))

    async def away_at_first(**asked: object) -> object:
        for _ in failures:
            raise Overloaded("away")
        return await page()

    monkeypatch.setattr(shelf.store.cache, "page", away_at_first)

    assert await shelf.removed(Purge()) == 1


def test_the_secret_of_the_cache_is_none_of_the_store_itself() -> None:
    pepper = cache_pepper(Secret("x" * 300))

    assert len(pepper) == 32
    assert pepper != cache_pepper(Secret("x" * 299))
    assert place_of(pepper, "acme") != place_of(pepper, "acme2")
