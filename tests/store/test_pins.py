"""Who answered in a conversation, promised by every store and tried on each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.store.contract import Store
from gateway.store.open import EMBEDDED
from gateway.store.sqlite.pins import FILE, SqlitePins
from tests.store.conftest import Opens

pytestmark = pytest.mark.usefixtures("patient")


async def test_what_one_worker_writes_the_other_reads(store: Store, other: Store) -> None:
    assert await other.pins.get("a") is None
    await store.pins.put("a", b"\x00one\xff", ttl=60)
    await store.pins.put("b", b"two", ttl=60)

    assert (await other.pins.get("a"), await other.pins.get("b")) == (b"\x00one\xff", b"two")


async def test_the_last_value_holds(store: Store, other: Store) -> None:
    await store.pins.put("a", b"old", ttl=60)
    await other.pins.put("a", b"new", ttl=60)

    assert await store.pins.get("a") == b"new"


async def test_a_value_is_gone_after_its_time(store: Store, opens: Opens, url: str) -> None:
    await store.pins.put("a", b"value", ttl=0.05)

    if url == EMBEDDED:
        store = await opens(clock=Clock(now=lambda: time.time() + 1))
    else:
        async with asyncio.timeout(10):
            while await store.pins.get("a") is not None:
                await asyncio.sleep(0.01)
    assert await store.pins.get("a") is None


async def test_a_new_value_lives_on(opens: Opens, url: str) -> None:
    store = await opens()
    await store.pins.put("a", b"value", ttl=1)
    await store.pins.put("a", b"value", ttl=60)

    later = await opens(clock=Clock(now=lambda: time.time() + 2)) if url == EMBEDDED else store
    assert await later.pins.get("a") == b"value"


async def test_what_has_expired_is_swept_out_of_the_file(tmp_path: Path) -> None:
    now = 1000.0
    pins = SqlitePins(tmp_path, Clock(now=lambda: now))
    assert not (tmp_path / FILE).exists(), "most gateways have no use for it"
    for number in range(5):
        await pins.put(str(number), b"value", ttl=10)
    now += 11
    await pins.put("new", b"value", ttl=10)
    now -= 11

    assert [await pins.get(str(number)) for number in range(5)] == [None] * 5
    assert await pins.get("new") == b"value"
    await pins.close()
