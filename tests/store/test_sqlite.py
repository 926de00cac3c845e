"""What is particular to the embedded store."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.core.claim import Fresh, Stored
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.secret import Secret
from gateway.core.tenant import VirtualKey
from gateway.store.contract import CLAIM_LEASE, INSTANCE_TTL, REPLAY_TTL, OpenError, Store
from gateway.store.open import EMBEDDED, open_store
from gateway.store.sqlite.database import Database, Work
from gateway.store.sqlite.store import FILE


class Time:
    ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def passing() -> Time:
    return Time()


@pytest.fixture
async def store(tmp_path: Path, passing: Time) -> AsyncIterator[Store]:
    store = await open_store(EMBEDDED, tmp_path / "data", clock=Clock(now=passing.now))
    yield store
    await store.close()


async def test_the_data_folder_and_its_file_are_their_owners_alone(store: Store, tmp_path: Path) -> None:
    await store.keys.revoke("x")

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()]

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert set(modes) == {0o600}
    assert len(modes) == 6


async def test_the_claim_of_a_worker_that_died_is_free_after_its_lease(store: Store, passing: Time) -> None:
    await store.replays.claim("acme", "key", "hash")

    passing.ahead = CLAIM_LEASE + 1

    assert isinstance(await store.replays.claim("acme", "key", "other"), Fresh)


async def test_an_answer_is_kept_for_a_day(store: Store, passing: Time) -> None:
    first = await store.replays.claim("acme", "key", "hash")
    assert isinstance(first, Fresh)
    await store.replays.finish(first.claim, Stored(200, (), b"answer"))

    passing.ahead = REPLAY_TTL - 60
    assert isinstance(await store.replays.claim("acme", "key", "hash"), Stored)
    passing.ahead = REPLAY_TTL + 60
    assert isinstance(await store.replays.claim("acme", "key", "hash"), Fresh)


async def test_an_instance_that_says_nothing_any_more_is_gone(store: Store, passing: Time) -> None:
    await store.versions.announce("host:1", "v1")

    passing.ahead = INSTANCE_TTL + 1

    assert await store.versions.versions() == {}


async def test_a_file_that_is_held_by_someone_else_keeps_nobody_waiting_for_long(store: Store, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "data" / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    async with asyncio.timeout(2.0):
        with pytest.raises(Overloaded) as caught:
            await store.replays.claim("acme", "key", "hash")

    assert caught.value.code == "store_unavailable"
    holder.execute("ROLLBACK")
    holder.close()
    assert isinstance(await store.replays.claim("acme", "key", "hash"), Fresh)


async def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OpenError, match="is the folder writable"):
        await open_store(EMBEDDED, tmp_path / "file" / "data")


@pytest.mark.parametrize("url", ["", "sqlite", "postgres://x", "redis+sentinel://host", "redis://host:port"])
async def test_a_url_that_names_no_store_is_refused_with_what_would_be_right(url: str, tmp_path: Path) -> None:
    with pytest.raises(OpenError):
        await open_store(url, tmp_path)


def _create_keys_until_killed(folder: Path, name: str) -> None:
    """Writes each id to a file once the store has promised to keep the key."""

    async def work() -> None:
        store = await open_store(EMBEDDED, folder)
        with (folder / f"{name}.ids").open("a", buffering=1) as promised:
            for number in range(100_000):
                id = f"{name}{number}"
                with suppress(Overloaded):  # the others wrote all the time, so that nothing was promised
                    await store.keys.create(VirtualKey(id=id, name="", tenant="t", fingerprint="00"))
                    promised.write(id + "\n")

    asyncio.run(work())


async def test_workers_that_start_together_share_the_file_and_a_killed_one_loses_no_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_create_keys_until_killed, args=(tmp_path, name)) for name in "abc"]
    for worker in workers:
        worker.start()
    ids = [tmp_path / f"{name}.ids" for name in "abc"]
    async with asyncio.timeout(20.0):
        while not all(path.exists() and path.stat().st_size > 200 for path in ids):
            await asyncio.sleep(0.02)
    for worker in workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()

    store = await open_store(EMBEDDED, tmp_path)
    _, keys = await store.keys.load(since=0)
    await store.close()

    promised = {line for path in ids for line in path.read_text().split("\n")[:-1]}
    assert promised <= {key.id for key in keys}


async def test_a_file_that_others_write_all_the_time_is_opened_in_turn_or_said_to_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    write = Database.write

    async def busy(self: Database, work: Work[Secret], *, durable: bool = False) -> Secret:
        nonlocal tries
        tries += 1
        if tries % 3:
            raise Overloaded("busy")
        return await write(self, work, durable=durable)

    monkeypatch.setattr(Database, "write", busy)
    await (await open_store(EMBEDDED, tmp_path)).close()
    assert tries == 3

    monkeypatch.setattr("gateway.store.sqlite.store.OPENING", 0.05)
    with pytest.raises(OpenError, match="another process"):
        await open_store(EMBEDDED, tmp_path)
