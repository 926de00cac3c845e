"""What workers agree on about a rollout: who is stepped back, what an admin said, and what each call is told."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from random import Random

import pytest

from gateway.core.clock import Clock
from gateway.template.rollout.bounds import StepBack
from gateway.template.rollout.ledger import States
from gateway.template.rollout.rollouts import Rollouts
from gateway.template.rules import Template
from tests.template.rollout.cast import Losing, call, failed, template, version

WRITERS = count()
ROLLOUT = {1: 90, 2: 10}


class Worker:
    def __init__(self, store: States, of: Template) -> None:
        self.told: list[Mapping[str, object]] = []
        self.of = of
        self.store = store
        self.rollouts = Rollouts(store, lambda: f"w{next(WRITERS)}", Clock(), self.told.append, pepper=b"pepper")
        self.rollouts.follow({of.name: of})

    async def flush(self) -> None:
        await self.rollouts.flush({self.of.name: self.of}, everything=True)

    def stepped_back(self) -> frozenset[int]:
        return self.rollouts.held(self.of).stepped_back

    def fail(self, number: int, calls: int = 60) -> None:
        """Of this version every call; the others are answered."""
        for _ in range(calls):
            for each in (1, 2, 3):
                self.rollouts.observe(failed(each) if each == number else call(each))


async def test_a_version_that_fails_is_stepped_back_at_once_and_everywhere(store: States) -> None:
    one, other = Worker(store, template(ROLLOUT)), Worker(store, template(ROLLOUT))
    one.fail(2)
    assert one.stepped_back() == {2}
    assert one.rollouts.stepped_back == 0, "not yet in the store"

    await one.flush()
    await other.flush()
    assert other.stepped_back() == {2}
    assert [told["measure"] for told in one.told + other.told] == ["errors"]


async def test_the_current_version_is_never_stepped_back(store: States) -> None:
    one = Worker(store, template(ROLLOUT))
    one.fail(1)
    await one.flush()

    assert one.stepped_back() == frozenset()


async def test_each_new_version_stands_for_itself(store: States) -> None:
    one = Worker(store, template({1: 80, 2: 10, 3: 10}))
    one.fail(3, 80)

    assert one.stepped_back() == {3}


async def test_workers_that_saw_little_each_step_back_together(store: States) -> None:
    alone = Worker(store, template(ROLLOUT))
    alone.fail(2, 6)
    assert not alone.stepped_back()
    workers = [Worker(store, template(ROLLOUT)) for _ in range(4)]
    for each in workers:
        each.fail(2, 6)
        assert not each.stepped_back()
        await each.flush()

    assert workers[-1].stepped_back() == {2}


async def test_a_step_back_outlives_a_restart(store: States) -> None:
    one = Worker(store, template(ROLLOUT))
    one.fail(2)
    await one.flush()
    later = Worker(store, template(ROLLOUT))
    await later.flush()

    assert later.stepped_back() == {2}


@pytest.mark.parametrize(
    "changed",
    [
        template({1: 80, 2: 20}),
        template(ROLLOUT, salt="again"),
        template(ROLLOUT, bounds=StepBack(latency=None)),
        template({1: 90, 3: 10}),
    ],
)
async def test_a_changed_file_begins_anew(store: States, changed: Template) -> None:
    one = Worker(store, template(ROLLOUT))
    one.fail(2)
    await one.flush()
    one.of = changed
    await one.flush()

    assert one.stepped_back() == frozenset()


async def test_a_worker_with_the_file_of_before_keeps_what_it_said_of_that(store: States) -> None:
    old, new = Worker(store, template(ROLLOUT)), Worker(store, template({1: 50, 2: 50}))
    old.fail(2)
    await old.flush()
    new.fail(2, 1)
    await new.flush()
    await old.flush()

    assert old.stepped_back() == {2}
    assert new.stepped_back() == frozenset()


async def test_one_conversation_or_end_user_counts_once(store: States) -> None:
    one = Worker(store, template(ROLLOUT))
    for _ in range(200):
        one.rollouts.observe(call(2, failed=True, unit="the same"))
        one.rollouts.observe(call(1))

    assert one.stepped_back() == frozenset()


async def test_a_call_whose_version_was_not_drawn_for_it_is_counted_and_not_compared(store: States) -> None:
    one = Worker(store, template(ROLLOUT))
    for _ in range(200):
        one.rollouts.observe(call(2, failed=True, unit=""))
        one.rollouts.observe(call(1, unit=""))

    assert one.stepped_back() == frozenset()
    (followed,) = one.rollouts
    assert followed.ledger.whole().since(0)[version(2).hash].errors == 200


async def test_what_a_cache_answered_is_not_compared(store: States) -> None:
    one = Worker(store, template(ROLLOUT))
    for _ in range(200):
        one.rollouts.observe(call(2, cost=5000))
        one.rollouts.observe(call(1, is_kept=True, latency_ms=None, cost=None))

    assert one.stepped_back() == frozenset()


@pytest.mark.parametrize("told", [{"cost": 5000}, {"latency_ms": 9000.0}])
async def test_a_version_that_is_dearer_or_slower_is_stepped_back(store: States, told: dict[str, object]) -> None:
    one = Worker(store, template(ROLLOUT))
    for _ in range(40):
        one.rollouts.observe(call(2, **told))
        one.rollouts.observe(call(1))

    assert one.stepped_back() == {2}


async def test_a_version_whose_answers_are_found_bad_is_stepped_back(store: States) -> None:
    one = Worker(store, template(ROLLOUT))
    for _ in range(60):
        one.rollouts.judge(call(2), is_good=False)
        one.rollouts.judge(call(1), is_good=True)

    assert one.stepped_back() == {2}


async def test_without_a_rollout_calls_are_counted_and_nothing_is_compared(store: States) -> None:
    one = Worker(store, template())
    one.fail(2)
    await one.flush()

    assert one.stepped_back() == frozenset()
    (followed,) = one.rollouts
    assert followed.ledger.whole().since(0)[version(2).hash].calls == 60


async def test_a_template_that_is_gone_is_forgotten_here_and_not_in_the_store(store: States) -> None:
    one = Worker(store, template(ROLLOUT))
    one.fail(2)
    await one.flush()
    await one.rollouts.flush({})
    assert list(one.rollouts) == []

    await one.flush()
    assert one.stepped_back() == {2}


async def test_a_step_back_waits_for_a_store_that_is_away_and_counts_here_all_the_while(store: States) -> None:
    one = Worker(Losing(store, Random(3), lost=1), template(ROLLOUT))
    one.fail(2)
    await one.flush()
    assert one.stepped_back() == {2}

    one.store.lost = 0  # type: ignore[attr-defined]
    await one.flush()
    other = Worker(store, template(ROLLOUT))
    await other.flush()
    assert other.stepped_back() == {2}
