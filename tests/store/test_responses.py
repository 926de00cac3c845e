"""Responses that clients go on from, promised by every store and tried on each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.store.contract import Store
from gateway.store.open import EMBEDDED
from gateway.store.sqlite.responses import FILE, SqliteResponses
from tests.store.conftest import Opens

pytestmark = pytest.mark.usefixtures("patient")


async def test_what_one_worker_keeps_the_other_reads_and_removes(store: Store, other: Store) -> None:
    assert await other.responses.get("a") is None
    await store.responses.put("a", b"\x00one\xff", ttl=60)

    assert await other.responses.get("a") == b"\x00one\xff"
    assert await other.responses.remove("a")
    assert not await store.responses.remove("a")
    assert await store.responses.get("a") is None


async def test_a_response_is_gone_after_its_time(store: Store, opens: Opens, url: str) -> None:
    await store.responses.put("a", b"value", ttl=0.05)

    if url == EMBEDDED:
        store = await opens(clock=Clock(now=lambda: time.time() + 1))
    else:
        async with asyncio.timeout(10):
            while await store.responses.get("a") is not None:
                await asyncio.sleep(0.01)
    assert await store.responses.get("a") is None
    assert not await store.responses.remove("a")


async def test_where_there_is_no_room_the_oldest_gives_way(tmp_path: Path) -> None:
    responses = SqliteResponses(tmp_path, Clock(now=lambda: 1000.0), room=3000)
    assert not (tmp_path / FILE).exists(), "most gateways have no use for it"
    for name in ("a", "b", "a", "c"):
        await responses.put(name, b"x" * 1000, ttl=10)

    assert [await responses.get(name) is not None for name in ("a", "b", "c")] == [True, False, True]
    await responses.remove("a")
    await responses.remove("c")
    await responses.put("d", b"x" * 2700, ttl=10)
    await responses.put("e", b"x" * 9999, ttl=10)
    assert [await responses.get(name) is not None for name in ("d", "e")] == [False, False]
    await responses.close()


async def test_what_has_expired_makes_room(tmp_path: Path) -> None:
    now = 1000.0
    responses = SqliteResponses(tmp_path, Clock(now=lambda: now), room=3000)
    await responses.put("new", b"x" * 1000, ttl=100)
    await responses.put("old", b"x" * 1000, ttl=1)
    now += 2
    await responses.put("newer", b"x" * 1000, ttl=100)

    assert [await responses.get(name) is not None for name in ("new", "old", "newer")] == [True, False, True]
    await responses.close()
