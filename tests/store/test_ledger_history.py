"""Every store does what the book says."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest

from gateway.core.clock import Clock
from gateway.core.ledger import book
from gateway.core.ledger.operations import Balance, Corrupt, Outcome
from tests.core.ledger.history import History
from tests.core.ledger.tables import DictTables
from tests.store.conftest import Opens

pytestmark = pytest.mark.usefixtures("patient")


class Still:
    """A clock that stands while a batch is applied; a Redis has one of its own."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


@pytest.mark.parametrize("seed", range(3))
async def test_a_store_answers_a_random_history_as_the_book_does(opens: Opens, seed: int) -> None:
    still = Still()
    still.seconds = time.time()
    ledger = (await opens(clock=Clock(still.now, still.now))).ledger
    await ledger.restore("worker 1", (), ())
    tables = DictTables()
    random = Random(seed)
    history = History(random)
    seen: Counter[type[Outcome]] = Counter()
    now = (await ledger.apply(())).now

    for _ in range(600):
        operations = history.batch(now)
        applied = await ledger.apply(operations)
        now = applied.now
        for operation, outcome in zip(operations, applied.outcomes, strict=True):
            assert outcome == book.apply(tables, operation, now=now, lease_now=now), operation
            seen[type(outcome)] += 1
        if random.random() < 0.1:
            await asyncio.sleep(0.005)
        still.seconds = time.time()

    assert _lasting(await ledger.balances()) == _lasting(tables.balances(now))
    assert await ledger.open_reservations() == {id: opened.owner for id, opened in tables.open.items()}
    assert {kind for kind in Outcome.__args__ if kind is not Corrupt} == set(seen)


def _lasting(balances: Iterable[Balance]) -> dict[str, Balance]:
    """Those of calendar windows. The limit is that of some late operation, and may be of one that was refused."""
    return {
        each.account: replace(each, limit=None) for each in balances if (each.held or each.spent) and not each.bucket
    }
