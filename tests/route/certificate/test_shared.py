"""A certificate is the same for all workers, and what is lost on the way to the store neither doubles nor invents a label."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from gateway.core import bet
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.neighbour import Versioned
from gateway.route.certificate import labels
from gateway.route.certificate.certificate import FIRST_REST, Shares, Status
from gateway.route.certificate.shared import Shared, States
from gateway.route.certificate.terms import Terms
from gateway.store.sqlite.meanings import SqliteMeanings

GOOD, BAD = bet.cell(1, 1), bet.cell(1, 0)
NUMBERS = count()


def shared(name: str = "certificate:1", terms: Terms | None = None, *, pepper: bytes = b"pepper") -> Shared:
    return Shared(name, terms or Terms(), lambda: f"w{next(NUMBERS)}", pepper=pepper, shares=Shares())


def teach(one: Shared, *cells: int, at: float = 1.0) -> None:
    for cell in cells:
        one.learn(cell, at)


class Losing:
    """A store that is away now and then, before or after it did what it was asked."""

    def __init__(self, store: States, draw: random.Random) -> None:
        self._store = store
        self._draw = draw
        self.lost = 0.3

    async def get(self, name: str) -> Versioned | None:
        if self._draw.random() < self.lost:
            raise Overloaded("away")
        return await self._store.get(name)

    async def put(self, name: str, value: bytes, *, version: int) -> bool:
        if self._draw.random() < self.lost:
            raise Overloaded("away")
        done = await self._store.put(name, value, version=version)
        if self._draw.random() < self.lost:
            raise Overloaded("the reply was lost")
        return done


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[States]:
    shares = SqliteMeanings(tmp_path, Clock())
    yield shares.earned
    await shares.close()


async def test_what_one_worker_learnt_serves_at_all_once_it_was_written(store: States) -> None:
    one, other = shared(), shared()
    teach(one, *[GOOD] * 90)
    assert one.standing.status is Status.CERTIFIED
    assert not one.serves

    await one.flush(store, 2.0)
    await other.flush(store, 3.0)

    assert one.serves
    assert other.serves
    assert other.standing == one.standing
    assert one.share == other.share == 0.02


async def test_labels_of_several_workers_make_one_certificate(store: States) -> None:
    workers = [shared() for _ in range(3)]
    for one in workers:
        teach(one, *[GOOD] * 30)
        assert one.standing.status is Status.UNCERTIFIED

    for one in (*workers, *workers):
        await one.flush(store, 2.0)

    assert all(one.serves for one in workers)
    assert {one.standing.labels for one in workers} == {90}


async def test_what_is_lost_on_the_way_is_written_again_and_counts_once(store: States) -> None:
    draw = random.Random(3)
    losing = Losing(store, draw)
    workers = [shared() for _ in range(3)]
    written = 0
    for _ in range(60):
        one = draw.choice(workers)
        teach(one, GOOD, BAD)
        written += 2
        await asyncio.gather(*(each.flush(losing, 2.0) for each in workers))
    losing.lost = 0.0
    for each in (*workers, *workers):
        await each.flush(losing, 3.0)

    fresh = shared()
    await fresh.flush(store, 4.0)
    assert labels.total(labels.blocks(fresh.state.writers)) == {GOOD: 60, BAD: 60}
    assert {each.standing for each in workers} == {fresh.standing}
    assert fresh.standing.status is Status.REFUSED
    assert written == 120


async def test_what_is_revoked_here_serves_no_more_at_once_and_soon_nowhere(store: States) -> None:
    one, other = shared(), shared()
    teach(one, *[GOOD] * 90)
    await one.flush(store, 2.0)
    await other.flush(store, 2.0)

    teach(one, *[BAD] * 12, at=3.0)
    assert not one.serves
    assert other.serves

    await one.flush(store, 4.0)
    await other.flush(store, 4.0)
    assert not other.serves
    assert other.standing.since == 3.0


async def test_a_new_trial_begins_everywhere(store: States) -> None:
    one, other = shared(), shared()
    teach(one, *[BAD] * 20)
    await one.flush(store, 2.0)
    await other.flush(store, 2.0)
    assert other.standing.status is Status.REFUSED
    assert other.share == 0

    await other.flush(store, 1.0 + FIRST_REST)
    teach(one, *[BAD] * 5)  # of the old trial
    await one.flush(store, 2.0 + FIRST_REST)

    assert one.standing == other.standing
    assert one.standing.trial == 2
    assert one.standing.labels == 0
    assert one.share == 0.25


async def test_labels_that_come_while_the_store_is_asked_are_kept(store: States) -> None:
    class Slow:
        async def get(self, name: str) -> Versioned | None:
            return await store.get(name)

        async def put(self, name: str, value: bytes, *, version: int) -> bool:
            teach(one, GOOD)
            return await store.put(name, value, version=version)

    one, other = shared(), shared()
    teach(one, GOOD)

    await one.flush(Slow(), 1.0)
    assert one.standing.labels == 2

    await one.flush(store, 1.0)
    await other.flush(store, 1.0)
    assert other.standing.labels == 2


async def test_a_writer_that_was_taken_for_gone_begins_anew(store: States) -> None:
    sleeper = shared()
    teach(sleeper, *[GOOD] * 10, at=0.0)
    await sleeper.flush(store, 0.0)
    witness = shared()
    await witness.flush(store, 0.0)
    for _ in range(labels.MOST_WRITERS):
        busy = shared()
        teach(busy, GOOD, at=labels.RESTS * 2)
        await busy.flush(store, labels.RESTS * 2)

    teach(sleeper, GOOD, at=labels.RESTS * 2)
    await sleeper.flush(store, labels.RESTS * 2)
    teach(sleeper, GOOD, at=labels.RESTS * 2)
    await sleeper.flush(store, labels.RESTS * 2)

    await witness.flush(store, labels.RESTS * 2)  # it knew the labels as the sleeper's
    assert sleeper.standing.labels == witness.standing.labels == 10 + labels.MOST_WRITERS + 1


async def test_what_somebody_else_wrote_is_nothing(store: States) -> None:
    forged = shared(pepper=b"another")
    teach(forged, *[GOOD] * 90)
    await forged.flush(store, 1.0)

    one = shared()
    await one.flush(store, 2.0)
    assert one.standing.labels == 0

    teach(one, GOOD)
    await one.flush(store, 3.0)
    other = shared()
    await other.flush(store, 3.0)
    assert other.standing.labels == 1


async def test_other_terms_are_judged_by_the_labels_that_are_there(store: States) -> None:
    one = shared()
    teach(one, *[GOOD] * 90)
    await one.flush(store, 1.0)

    one.change(Terms(max_loss=0.02), Shares())

    assert not one.serves
    assert one.share == 0.25
    assert one.standing.labels == 90


async def test_what_is_begun_anew_here_is_begun_anew_everywhere_and_old_labels_count_no_more(store: States) -> None:
    one, other = shared(), shared()
    teach(one, *[GOOD] * 200)
    await one.flush(store, 2.0)
    await other.flush(store, 2.0)
    assert other.serves

    teach(other, GOOD)
    assert await one.begin_anew(store, 3.0, "begun anew by admin: why not")
    await other.flush(store, 4.0)

    for each in (one, other):
        assert (each.serves, each.standing.trial, each.standing.labels) == (False, 2, 0)
        assert each.standing.why == "begun anew by admin: why not"


async def test_what_is_begun_anew_while_the_store_is_away_is_told_as_unknown_and_written_later(store: States) -> None:
    one, other = shared(), shared()
    teach(one, *[GOOD] * 200)
    await one.flush(store, 2.0)
    losing = Losing(store, random.Random(1))
    losing.lost = 1.0

    assert not await one.begin_anew(losing, 3.0, "why not")
    assert not one.serves
    await one.flush(store, 4.0)
    await other.flush(store, 4.0)

    assert other.standing.trial == 2
