"""What workers count of a template is added up in the store: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from gateway.template.rollout.bounds import Measure
from gateway.template.rollout.counted import HOUR, KEPT, Counted
from gateway.template.rollout.evidence import Evidence
from gateway.template.rollout.ledger import Ledger, States
from tests.template.rollout.cast import Losing

NOW = 1000.0 * HOUR


def ledger(writer: str) -> Ledger:
    return Ledger("support", writer, pepper=b"pepper")


def count(one: Ledger, calls: int, at: float = NOW) -> None:
    for _ in range(calls):
        one.news.tally("v1", at).calls += 1


def calls(one: Ledger) -> int:
    return one.whole().since(0)["v1"].calls


async def test_what_two_workers_counted_is_added_up(store: States) -> None:
    one, other = ledger("a"), ledger("b")
    count(one, 3)
    count(other, 4)
    await one.flush(store, NOW)
    await other.flush(store, NOW)
    await one.flush(store, NOW)

    assert (calls(one), calls(other)) == (7, 7)


async def test_it_outlives_the_workers(store: States) -> None:
    one = ledger("a")
    count(one, 3)
    await one.flush(store, NOW)
    later = ledger("b")
    await later.flush(store, NOW)

    assert calls(later) == 3


async def test_what_was_counted_is_known_here_at_once(store: States) -> None:
    one = ledger("a")
    count(one, 2)
    assert one.has_news
    assert calls(one) == 2

    await one.flush(store, NOW)
    count(one, 1)
    assert calls(one) == 3


async def test_evidence_is_that_of_all_workers(store: States) -> None:
    one, other, learnt = ledger("a"), ledger("b"), Evidence()
    learnt.learn(Measure.ERRORS, 0.5)
    one.news.learn("t", learnt, NOW)
    await one.flush(store, NOW)
    other.news.learn("t", learnt, NOW)
    await other.flush(store, NOW)

    assert other.evidence("t").pairs == {"errors": 2}
    assert other.evidence("t").sums["errors"] == pytest.approx([2 * each for each in learnt.sums["errors"]])


async def test_nothing_is_lost_and_nothing_counts_twice_while_the_store_comes_and_goes(store: States) -> None:
    losing = Losing(store, Random(7))
    workers = [ledger(name) for name in "abc"]
    for _ in range(60):
        for one in workers:
            count(one, 1)
        await asyncio.gather(*(one.flush(losing, NOW) for one in workers))
    for one in workers * 3:
        await one.flush(store, NOW)

    assert [calls(one) for one in workers] == [180, 180, 180]


async def test_another_pepper_begins_with_nothing(store: States) -> None:
    one = ledger("a")
    count(one, 3)
    await one.flush(store, NOW)
    stranger = Ledger("support", "b", pepper=b"another")
    await stranger.flush(store, NOW)

    assert stranger.whole().is_empty


async def test_old_hours_are_forgotten_and_younger_ones_asked_for(store: States) -> None:
    one = ledger("a")
    count(one, 1, NOW)
    count(one, 2, NOW + 2 * HOUR)
    await one.flush(store, NOW + 2 * HOUR)
    assert one.whole().since(NOW + 2 * HOUR)["v1"].calls == 2

    count(one, 4, NOW + KEPT * HOUR)
    await one.flush(store, NOW + KEPT * HOUR)
    assert calls(one) == 6


def test_an_empty_one_has_nothing_to_add() -> None:
    assert Counted().is_empty
    assert not ledger("a").has_news
