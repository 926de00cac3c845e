"""What is particular to the embedded store's file of kept answers."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from gateway.core.errors import Overloaded
from gateway.core.purge import Purge
from gateway.store.contract import Store
from gateway.store.open import EMBEDDED, open_store
from gateway.store.sqlite import cache
from tests.store.conftest import Opens


@pytest.fixture
def url() -> str:
    return EMBEDDED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / cache.FILE


def damage(path: Path) -> None:
    """In every page, as a disk would."""
    with path.open("r+b") as file:
        file.write(b"\xa5" * path.stat().st_size)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _delete(path: Path) -> None:
    path.unlink()


def _block(path: Path) -> None:
    path.mkdir()


async def kept(store: Store, names: str) -> str:
    return "".join([name for name in names if await store.cache.get(name) is not None])


async def test_a_reader_never_waits_for_a_writer(store: Store, path: Path) -> None:
    await store.cache.put("a", b"x", ttl=60.0)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("DELETE FROM answers")

    assert await store.cache.get("a") == b"x"
    with pytest.raises(Overloaded):
        await store.cache.put("b", b"x", ttl=60.0)

    holder.execute("ROLLBACK")
    holder.close()
    await store.cache.put("b", b"x", ttl=60.0)


async def test_a_full_cache_drops_what_has_expired_then_the_oldest(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "ROOM", 10 * (1000 + cache.ROW + 1))
    monkeypatch.setattr(cache, "SWEEP", 1)
    for name in "abcdefgh":
        await store.cache.put(name, bytes(1000), ttl=60.0)
    await store.cache.put("y", bytes(1000), ttl=0.001)
    await store.cache.put("z", bytes(1000), ttl=0.001)
    await asyncio.sleep(0.002)

    for name in "ijkl":
        await other.cache.put(name, bytes(1000), ttl=60.0)

    assert await kept(store, "abcdefghijklyz") == "cdefghijkl"
    size = await store.cache.size()
    assert (size.entries, size.bytes, size.dropped) == (10, cache.ROOM, 2)


async def test_an_answer_larger_than_all_room_is_not_kept_nor_anything_dropped_for_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "ROOM", 5000)
    await store.cache.put("a", b"x", ttl=60.0)

    await store.cache.put("b", bytes(6000), ttl=60.0)

    assert await kept(store, "ab") == "a"
    assert (await store.cache.size()).dropped == 1


async def test_a_page_of_large_answers_is_short(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PAGE", 2000)
    for name in "abc":
        await store.cache.put(name, bytes(1000), ttl=60.0)

    some, after = await store.cache.page()
    rest, end = await store.cache.page(after=after)

    assert [name for name, _ in [*some, *rest]] == ["a", "b", "c"]
    assert (len(some), end) == (2, "")


async def test_a_damaged_file_is_set_aside_and_begun_anew_by_one_and_followed_by_the_others(
    store: Store, other: Store, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for number in range(200):
        await store.cache.put(str(number), bytes(2000), ttl=60.0)
    for each in (store, other):
        assert await each.cache.get("150") == bytes(2000)
    _empty_the_log(path)
    damage(path)

    for name in ("150", "17"):
        for each in (store, other):
            with pytest.raises(Overloaded):
                await each.cache.get(name)
    before = [await each.changes() for each in (store, other)]

    await other.cache.put("new", b"x", ttl=60.0)
    assert await store.cache.get("new") == b"x"
    assert await store.cache.get("150") is None
    number = await other.cache.order(Purge(org="acme"))
    assert (await store.changes()).purges == number
    assert before[0].purges == before[1].purges == number - 1
    assert [each.message for each in caplog.records] == ["the cache's file was damaged and is begun anew"]
    assert path.with_name(path.name + ".damaged").exists()


def _empty_the_log(path: Path) -> None:
    """Into the file, so that its pages are read there."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@pytest.mark.parametrize("rubbish", [b"not a database, but long enough to be taken for one" * 100, b"\x00" * 4096])
async def test_a_file_that_is_none_is_set_aside_at_the_start(opens: Opens, path: Path, rubbish: bytes) -> None:
    _write(path, rubbish)

    store = await opens()

    await store.cache.put("a", b"x", ttl=60.0)
    assert await store.cache.get("a") == b"x"


async def test_a_file_that_was_deleted_is_made_again_and_all_workers_use_the_new_one(
    store: Store, other: Store, path: Path
) -> None:
    await store.cache.put("a", b"x", ttl=60.0)
    last = (await store.changes()).purges
    _delete(path)

    new = (await store.changes()).purges
    assert (await other.changes()).purges == new

    await store.cache.put("b", b"x", ttl=60.0)
    assert await kept(other, "ab") == "b"
    assert last is not None
    assert new is not None
    assert new > last
    assert list(await other.cache.orders()) == [Purge(number=new)]


async def test_a_clock_set_back_gives_no_number_twice(
    store: Store, other: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = await store.cache.order(Purge(org="acme"))
    assert (await store.changes()).purges == last
    for each in (store, other):
        monkeypatch.setattr(each.cache, "_clock", _Stopped())
    _delete(path)
    assert (await other.changes()).purges == 1000

    assert (await store.changes()).purges == last + 1
    assert (await other.changes()).purges == last + 1


class _Stopped:
    def now(self) -> float:
        return 1.0


async def test_a_place_that_cannot_be_used_costs_the_cache_and_nothing_else(
    opens: Opens, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _block(path)

    store = await opens()

    with pytest.raises(Overloaded):
        await store.cache.get("a")
    with pytest.raises(Overloaded):
        await store.cache.put("a", b"x", ttl=60.0)
    assert (await store.changes()).purges is None
    assert not await store.keys.revoke("x")
    assert [each.message for each in caplog.records] == ["the cache's file cannot be opened; nothing is cached"]


def _use_until_told(folder: Path, name: str) -> None:
    """Writes, reads and follows the orders; says how often in a file of its own."""

    async def work() -> None:
        store = await open_store(EMBEDDED, folder)
        rounds = 0
        while not (folder / "stop").exists():
            with suppress(Overloaded):
                await store.cache.put(str(rounds % 50), bytes(2000), ttl=60.0)
                assert await store.cache.get(str(rounds % 50)) in (None, bytes(2000))
                await store.cache.order(Purge(org=name))
            await store.changes()
            rounds += 1
            (folder / f"{name}.rounds").write_text(str(rounds))
        await store.close()

    asyncio.run(work())


def test_workers_go_on_whatever_becomes_of_the_file_under_them(path: Path) -> None:
    folder = path.parent
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_use_until_told, args=(folder, name)) for name in "abc"]
    for worker in workers:
        worker.start()
    for harm in (Path.unlink, damage, Path.unlink, _empty, Path.unlink):
        _wait_for_rounds(folder, workers)
        with suppress(FileNotFoundError):
            harm(path)
    _wait_for_rounds(folder, workers)

    (folder / "stop").touch()
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0, 0, 0]


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _wait_for_rounds(folder: Path, workers: Sequence[BaseProcess]) -> None:
    """Each of them does something more."""

    def rounds(name: str) -> int:
        try:
            return int((folder / f"{name}.rounds").read_text() or 0)
        except FileNotFoundError:
            return 0

    patience = time.monotonic() + 60.0
    before = [rounds(name) for name in "abc"]
    while any(rounds(name) < earlier + 20 for name, earlier in zip("abc", before, strict=True)):
        assert all(worker.is_alive() for worker in workers)
        assert time.monotonic() < patience
        time.sleep(0.01)
