"""What is particular to Redis: how it goes away, and comes back."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.cache.purges import Purges
from gateway.core.errors import Overloaded
from gateway.core.tasks import Tasks
from gateway.core.tenant import VirtualKey
from gateway.policy.stored import StoredTemplates
from gateway.store.contract import CLAIM_LEASE, Changes, OpenError, Store
from gateway.store.open import open_store
from gateway.store.redis import store as redis_store
from gateway.store.synchronise import Followers, synchronise
from tests.redis_server import RedisServer, redis_sentinel, redis_server
from tests.store.conftest import Opens

KEY = VirtualKey(id="k1", name="", tenant="t", fingerprint="00")
SLACK = 0.1
"""Seconds that a busy machine may add to a deadline."""


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server(save=True) as server:
        yield server


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url


async def answers(question: Callable[[], Awaitable[object]]) -> None:
    """Asks until the store answers again; at most the two seconds in which it must."""
    async with asyncio.timeout(2.0 + SLACK):
        while True:
            try:
                await question()
            except Overloaded:
                await asyncio.sleep(0.02)
            else:
                return


@pytest.mark.parametrize("trouble", ["kill", "pause"])
async def test_nobody_waits_for_a_redis_that_is_away_and_it_is_used_soon_after_it_is_back(
    store: Store, server: RedisServer, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await store.keys.create(KEY)

    (server.kill if trouble == "kill" else server.pause)()
    for _ in range(20):
        asked = time.monotonic()
        with pytest.raises(Overloaded) as caught:
            await store.changes()
        assert time.monotonic() - asked < 0.1 + SLACK
        assert caught.value.code == "store_unavailable"
    (server.start if trouble == "kill" else server.resume)()

    await answers(store.changes)
    assert list((await store.keys.load(since=0))[1]) == [KEY]
    assert [each.message for each in caplog.records] == ["the store is away", "the store answers again"]


async def test_many_callers_of_a_silent_redis_all_get_their_answer_in_time(store: Store, server: RedisServer) -> None:
    server.pause()

    asked = time.monotonic()
    outcomes = await asyncio.gather(
        *(store.replays.claim("t", str(n), "h") for n in range(500)), return_exceptions=True
    )

    assert time.monotonic() - asked < 0.1 + 5 * SLACK
    assert all(isinstance(outcome, Overloaded) for outcome in outcomes)
    server.resume()


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
)
async def test_a_redis_that_takes_no_writes_accepts_no_revocation(
    store: Store, server: RedisServer, break_it: tuple[str, ...], mend_it: tuple[str, ...]
) -> None:
    await store.keys.create(KEY)

    server.send(*break_it)
    with pytest.raises(Overloaded):
        await store.keys.revoke("k1")
    server.send(*mend_it)

    async def revoke() -> None:
        assert await store.keys.revoke("k1")

    await answers(revoke)
    assert (await store.keys.load(since=0))[1][0].revoked


async def test_keys_survive_a_redis_that_lost_its_data_and_revoked_ones_stay_revoked(
    store: Store, other: Store, server: RedisServer
) -> None:
    await store.keys.create(KEY)
    await store.keys.create(VirtualKey(id="k2", name="", tenant="t", fingerprint="01"))
    await store.keys.revoke("k2")
    await asyncio.gather(store.keys.load(since=0), other.keys.load(since=0))

    server.send("FLUSHALL")
    await asyncio.gather(store.changes(), other.changes())

    _, keys = await other.keys.load(since=0)
    assert sorted((key.id, key.revoked) for key in keys) == [("k1", False), ("k2", True)]
    again = await open_store(server.url, Path())
    assert again.pepper == store.pepper
    await again.close()


async def test_the_data_of_another_start_are_not_mixed_with_ours(
    store: Store, opens: Opens, server: RedisServer
) -> None:
    server.send("FLUSHALL")
    await opens()

    with pytest.raises(Overloaded):
        await store.changes()


async def test_revocations_arrive_with_the_push_connection_dead(
    store: Store, other: Store, server: RedisServer
) -> None:
    heard, seen = asyncio.Event(), asyncio.Queue[Changes]()

    class Keys:
        async def refresh(self) -> None:
            changes = await other.changes()
            seen.put_nowait(changes)
            if changes.keys:
                heard.set()

        def confirm(self, asked: float) -> None:
            """Nothing new."""

    tasks = Tasks()
    tasks.start(
        synchronise(other, Followers(Keys(), lambda _: None, Purges(other.cache), StoredTemplates(other.templates))),
        name="synchronise",
    )
    await seen.get()
    await answers(_two_listeners(server))

    assert server.send("CLIENT", "KILL", "TYPE", "pubsub") == b":2\r\n"
    async with asyncio.timeout(1.0):
        await store.keys.create(KEY)
        await heard.wait()
    await tasks.close()


async def test_a_push_arrives_before_the_next_question_is_due(store: Store, other: Store, server: RedisServer) -> None:
    await answers(_two_listeners(server))
    waiting = asyncio.create_task(other.pushed(within=60.0))
    await asyncio.sleep(0)

    async with asyncio.timeout(5.0):
        await store.keys.create(KEY)
        await waiting


def _two_listeners(server: RedisServer) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        if b":2\r\n" not in server.send("PUBSUB", "NUMSUB", "llmgw:changed"):
            raise Overloaded("not yet")

    return check


async def test_redis_itself_frees_the_claim_of_a_worker_that_died(store: Store, server: RedisServer) -> None:
    await store.replays.claim("acme", "key", "hash")

    names = server.send("KEYS", "llmgw:replay:*").split(b"\r\n")
    left = int(server.send("PTTL", names[2].decode())[1:])

    assert CLAIM_LEASE * 1000 - 5000 < left <= CLAIM_LEASE * 1000


async def test_no_key_or_idempotency_key_stands_in_redis_in_clear(store: Store, server: RedisServer) -> None:
    await store.replays.claim("acme", "my-idempotency-key", "hash")

    assert b"my-idempotency-key" not in server.send("KEYS", "*")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+cluster://127.0.0.1:1"])
async def test_a_redis_that_never_answers_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    monkeypatch.setattr(redis_store, "OPENING", 0.2)

    with pytest.raises(OpenError, match="does not answer"):
        await open_store(url, tmp_path)


async def test_the_password_of_redis_is_used_and_never_told(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_store, "OPENING", 1.0)
    server.send("CONFIG", "SET", "requirepass", "s3cret/p@ss")
    place = f"127.0.0.1:{server.port}/0"

    store = await open_store(f"redis://:s3cret%2Fp%40ss@{place}", tmp_path)
    await store.close()
    with pytest.raises(OpenError) as caught:
        await open_store(f"redis://:wr0ng@{place}", tmp_path)

    told = f"{caught.value} {[each.__dict__ for each in caplog.records]}"
    assert "wr0ng" not in told
    assert "the store is away" in told


async def test_connections_opened_together_share_one_question_to_the_sentinel(
    server: RedisServer, tmp_path: Path
) -> None:
    with redis_sentinel(server, name="mymaster") as sentinel:
        store = await open_store(f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster/0", tmp_path)
        before = _connections(sentinel)

        await asyncio.gather(*(store.changes() for _ in range(20)))

        after = _connections(sentinel)
        await store.close()
    assert after - before <= 5


def _connections(server: RedisServer) -> int:
    """How many connections it has accepted so far."""
    counted = re.search(rb"total_connections_received:(\d+)", server.send("INFO", "stats"))
    assert counted is not None
    return int(counted[1])
