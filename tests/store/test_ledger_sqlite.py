"""What is particular to the ledger in a file: whose clock its leases run by, and what outlives whom."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import Corrupt, Ended, Granted, Line, Reserve, Settle, Settled, Sweep, Swept
from gateway.store.contract import Store
from gateway.store.open import EMBEDDED, open_store
from gateway.store.sqlite.store import FILE

KEY = Line("key", 40, 100)
RESERVE, SETTLE = Reserve("r", "worker 1", 30_000, (KEY,)), Settle("r", (KEY,))


class Time:
    """Seconds by which each clock is ahead."""

    wall = 0.0
    monotonic = 0.0

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: time.monotonic() + self.monotonic, now=lambda: time.time() + self.wall)


@pytest.fixture
def passing() -> Time:
    return Time()


@pytest.fixture
async def store(tmp_path: Path, passing: Time) -> AsyncIterator[Store]:
    store = await open_store(EMBEDDED, tmp_path, clock=passing.clock())
    yield store
    await store.close()


async def test_a_lease_lasts_as_long_as_it_says_though_the_clock_is_set(store: Store, passing: Time) -> None:
    await store.ledger.apply([RESERVE])

    for passing.wall in (3600.0, -3600.0):
        assert (await store.ledger.apply([Sweep()])).outcomes == (Swept({}),)
    passing.monotonic = 30.0

    assert (await store.ledger.apply([Sweep()])).outcomes == (Swept({"r": "worker 1"}),)


async def test_after_the_machine_was_started_again_every_lease_has_run_out(store: Store, tmp_path: Path) -> None:
    await store.ledger.apply([RESERVE])
    again = await open_store(EMBEDDED, tmp_path)
    assert (await again.ledger.apply([Sweep()])).outcomes == (Swept({}),)
    await again.close()

    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE ledger_boot SET id = 'an earlier one'")
    again = await open_store(EMBEDDED, tmp_path)

    assert (await again.ledger.apply([Sweep()])).outcomes == (Swept({"r": "worker 1"}),)
    await again.close()


async def test_ids_that_ended_long_ago_and_accounts_of_windows_long_past_are_forgotten(
    store: Store, passing: Time
) -> None:
    end = int(time.time() * 1000) + 60_000
    window = Line("window", 1, 10, end=end)
    assert (await store.ledger.apply([Settle("r", (window,)), Sweep()])).outcomes[0] == Settled(0)

    passing.wall = 170.0
    assert (await store.ledger.apply([Sweep(), Settle("r", (window,))])).outcomes[1] == Ended()
    passing.wall = 190.0
    await store.ledger.apply([Sweep()])
    assert (await store.ledger.apply([Settle("r", (window,))])).outcomes == (Settled(0),)
    assert [each.settled for each in await store.ledger.balances()] == [2]
    passing.wall = 86_400.0 + 120.0
    await store.ledger.apply([Sweep()])

    assert await store.ledger.balances() == []


@pytest.mark.parametrize("row", [b"", b"\xc1", b"\x80\x80", b"\x81\xa5limit\xa1x", b"\x90", "text", 7])
async def test_an_account_that_is_damaged_is_never_unlimited(store: Store, tmp_path: Path, row: object) -> None:
    await store.ledger.apply([RESERVE])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE ledger_accounts SET row = ?", (row,))

    applied = await store.ledger.apply([SETTLE, Reserve("r2", "worker 1", 30_000, (KEY,)), Sweep()])

    assert applied.outcomes == (Corrupt("key"), Corrupt("key"), Swept({}))
    assert await store.ledger.balances() == []


@pytest.mark.parametrize("table", ["ledger_open", "ledger_gone"])
async def test_an_id_that_is_damaged_is_not_settled(store: Store, tmp_path: Path, table: str) -> None:
    await store.ledger.apply([RESERVE, *([SETTLE] if table == "ledger_gone" else [])])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(f"UPDATE {table} SET row = 'text', due = 0")

    assert (await store.ledger.apply([SETTLE])).outcomes == (Corrupt("r"),)
    assert await store.ledger.open_reservations() == {}


@pytest.mark.alone
async def test_a_batch_that_cannot_be_written_changes_nothing(store: Store, tmp_path: Path) -> None:
    await store.ledger.apply([RESERVE])
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(2.0):
            with pytest.raises(Overloaded) as caught:
                await store.ledger.apply([SETTLE])
        holder.execute("ROLLBACK")

    assert caught.value.code == "store_unavailable"
    assert (await store.ledger.apply([RESERVE, SETTLE])).outcomes == (Granted((0,), (40,)), Settled(0))


async def test_what_was_answered_outlives_the_worker(store: Store, tmp_path: Path) -> None:
    await store.ledger.apply([RESERVE, Settle("other", (KEY,))])

    again = await open_store(EMBEDDED, tmp_path)

    assert (await again.ledger.apply([RESERVE])).outcomes == (Granted((40,), (40,)),)
    assert await again.ledger.open_reservations() == {"r": "worker 1"}
    await again.close()
