"""The records of all replicas, in a real Redis: every machine's file comes to have all of them, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.core.tasks import Tasks
from gateway.store.contract import CallStream
from gateway.store.open import open_store
from gateway.store.redis.names import CALLS
from gateway.trace import sharing
from gateway.trace.reading.search import Search
from gateway.trace.sharing import Sharing
from tests.redis_server import RedisServer, redis_server
from tests.trace.stored import NOON, File, line

pytestmark = pytest.mark.usefixtures("patient")

KEEP = 1000
Opens = Callable[[str], Awaitable[CallStream]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "EVERY", 0.02)


@pytest.fixture
async def opens() -> AsyncIterator[Opens]:
    stores = []

    async def opens(url: str) -> CallStream:
        store = await open_store(url, Path("unused"))
        stores.append(store)
        assert store.calls is not None
        return store.calls

    yield opens
    for store in stores:
        await store.close()


class Replica:
    """A machine with its own data folder, whose worker shares its records."""

    def __init__(self, folder: Path, stream: CallStream, *, keep: int = KEEP) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._stream = stream
        self._keep = keep
        self._tasks = Tasks()
        self.file = File(folder)

    def start(self) -> None:
        self.shared = Sharing(self._folder, self._stream, keep=self._keep, clock=Clock(now=lambda: NOON - 1))
        self._tasks.start(self.shared.run(), name="sharing")

    async def stop(self) -> None:
        await self._tasks.close()

    async def has(self, *ids: str) -> None:
        """Waits until it has these, each once, and no others."""
        async with asyncio.timeout(10.0):
            while sorted(self.file.ids()) != sorted(ids):
                await asyncio.sleep(0.02)

    async def marked(self, name: str, value: object) -> None:
        async with asyncio.timeout(10.0):
            while self.file.reader.mark(name) != value:
                await asyncio.sleep(0.02)


@pytest.fixture
async def pair(tmp_path: Path, opens: Opens, redis: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    first, second = Replica(tmp_path / "1", await opens(redis.url)), Replica(tmp_path / "2", await opens(redis.url))
    first.start()
    second.start()
    yield first, second
    for each in (first, second):
        await each.stop()
        each.file.close()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


async def test_every_replica_has_the_calls_of_all_each_once(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    first.file.writer.write([line("a"), line("b", content={"input": "x" * 200_000})])
    second.file.writer.write([line("c")])

    await first.has("a", "b", "c")
    await second.has("a", "b", "c")

    assert second.file.totals("calls") == {(): 3}
    records = {each["id"]: each for each in second.file.reader.latest(Search(), limit=10).records}
    assert records["b"]["content"] is None, "a record too large goes without what was said"


async def test_nothing_is_lost_or_doubled_while_redis_is_away(
    pair: tuple[Replica, Replica], redis: RedisServer
) -> None:
    first, second = pair
    first.file.writer.write([line("before")])
    await second.has("before")

    redis.pause()
    first.file.writer.write([line(f"meanwhile {number}") for number in range(120)])
    await asyncio.sleep(0.3)
    redis.resume()
    first.file.writer.write([line("after")])

    await second.has("before", *(f"meanwhile {number}" for number in range(120)), "after")


async def test_a_replica_resumes_where_it_stopped(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    first.file.writer.write([line("a")])
    await second.has("a")
    await second.stop()
    await first.stop()
    first.file.writer.write([line("b")])

    second.start()
    first.start()

    await second.has("a", "b")
    assert second.file.totals("calls") == {(): 2}


async def test_a_redis_that_has_lost_everything_is_followed_from_its_beginning(
    pair: tuple[Replica, Replica], redis: RedisServer
) -> None:
    first, second = pair
    redis.send("XADD", CALLS, "99999999999999-0", "origin", "x", "record", "x")
    first.file.writer.write([line("a")])
    await second.has("a")

    redis.send("DEL", CALLS)
    first.file.writer.write([line("b")])

    await second.has("a", "b")


async def test_what_was_cut_off_while_a_replica_was_away_is_counted(
    pair: tuple[Replica, Replica], redis: RedisServer
) -> None:
    first, second = pair
    first.file.writer.write([line("a")])
    await second.has("a")
    await second.marked("counted", 1)
    await second.stop()
    first.file.writer.write([line(str(number)) for number in range(20)])
    async with asyncio.timeout(10.0):
        while int(redis.send("XLEN", CALLS)[1:]) != 21:
            await asyncio.sleep(0.02)
    redis.send("XTRIM", CALLS, "MAXLEN", "5")

    second.start()
    await second.has("a", *map(str, range(15, 20)))

    await second.marked("counted", 21)
    assert second.shared.missed == 15


async def test_a_call_file_that_was_made_anew_is_shared_from_its_beginning(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    first.file.writer.write([line("a"), line("b")])
    await second.has("a", "b")
    await first.marked("shared", 2)

    first.file.path.unlink()
    first.file.writer.write([line("c")])

    await second.has("a", "b", "c")


async def test_what_is_no_record_is_passed_over(pair: tuple[Replica, Replica], redis: RedisServer) -> None:
    first, second = pair
    for hostile in ("x", "", "[1]", '{"id": 7}'):
        redis.send("XADD", CALLS, "*", "origin", "x", "record", hostile)
    redis.send("XADD", CALLS, "*", "other", "x")
    first.file.writer.write([line("a")])

    await second.has("a")


async def test_the_stream_is_cut_off_at_its_old_end(tmp_path: Path, opens: Opens, redis: RedisServer) -> None:
    replica = Replica(tmp_path / "1", await opens(redis.url), keep=200)
    replica.start()
    replica.file.writer.write([line(str(number)) for number in range(2000)])

    async with asyncio.timeout(10.0):
        while replica.file.reader.mark("shared") != 2000:
            await asyncio.sleep(0.02)

    assert 200 <= int(redis.send("XLEN", CALLS)[1:]) < 500
    await replica.stop()
    replica.file.close()


@pytest.mark.parametrize("kind", ["cluster", "sentinel"])
async def test_clusters_and_sentinels_carry_it_too(
    tmp_path: Path, opens: Opens, kind: str, request: pytest.FixtureRequest
) -> None:
    server: RedisServer = request.getfixturevalue(f"shared_{kind}")
    url = f"redis+cluster://127.0.0.1:{server.port}"
    if kind == "sentinel":
        url = f"redis+sentinel://127.0.0.1:{server.port}/mymaster/0"
    first, second = Replica(tmp_path / "1", await opens(url)), Replica(tmp_path / "2", await opens(url))
    first.start()
    second.start()

    first.file.writer.write([line("a")])

    await second.has("a")
    for each in (first, second):
        await each.stop()
        each.file.close()
