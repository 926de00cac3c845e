"""One ledger in memory, and a worker that reserves in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.budget.cast import BookLedger, Time, Worker


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def ledger(time: Time) -> BookLedger:
    return BookLedger(time)


@pytest.fixture
async def worker(ledger: BookLedger, time: Time) -> AsyncIterator[Worker]:
    worker = Worker(ledger, time)
    yield worker
    await worker.tasks.close()


@pytest.fixture
async def other(ledger: BookLedger, time: Time) -> AsyncIterator[Worker]:
    """Another worker of the same gateway."""
    worker = Worker(ledger, time, name="w2")
    yield worker
    await worker.tasks.close()


@pytest.fixture
async def direct(ledger: BookLedger, time: Time) -> AsyncIterator[Worker]:
    """A worker with `--escrow no`: every call is reserved in the ledger."""
    worker = Worker(ledger, time, name="w3", escrow=False)
    yield worker
    await worker.tasks.close()
