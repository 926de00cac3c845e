"""What a route has earned is the same for all workers, survives restarts, and what is lost on the way makes it no laxer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cache.semantic.earned import Choice, Earned, Promise
from gateway.cache.semantic.proof.route import name_of, promise
from gateway.cache.semantic.proof.shared import Shared as Learnt
from gateway.core.clock import Clock
from gateway.core.neighbour import Versioned
from gateway.store.sqlite.meanings import SqliteMeanings
from tests.cache.semantic.worker import (
    EARNS,
    INSTALL,
    INSTALL_TOO,
    PEPPER,
    TARGET,
    Sometimes,
    asked,
    document,
    kept,
    looked,
    name,
    ready,
    step,
    verdicts,
    worker,
)

EAGER = Promise(pace=1.0, audit=0.0, shadowed=60)
SAME, OTHER = document("Use apt install postgresql."), document("Use brew.")


@pytest.fixture
async def shares(tmp_path: Path) -> AsyncIterator[SqliteMeanings]:
    shares = SqliteMeanings(tmp_path, Clock())
    yield shares
    await shares.close()


def learnt(name: str = "route") -> Learnt:
    return Learnt(name, EAGER, lambda: 0.99, pepper=PEPPER)


def teach(one: Learnt, times: int, *, right: bool = True, score: float = 0.95) -> None:
    for _ in range(times):
        one.learn(("right" if right else "wrong", score))


async def test_what_one_worker_learnt_serves_at_another_once_it_was_written(shares: SqliteMeanings) -> None:
    one, other = learnt(), learnt()
    teach(one, 120)
    assert one.threshold is None  # what is known here alone opens nothing

    await one.flush(shares.earned)
    await other.flush(shares.earned)

    assert one.threshold == other.threshold
    assert one.threshold is not None
    assert other.choose(0.9) is Choice.SERVE


async def test_what_all_workers_learnt_is_added_up(shares: SqliteMeanings) -> None:
    workers = [learnt() for _ in range(4)]
    for number, one in enumerate(workers):
        teach(one, 10 + number)
        teach(one, 1, right=False)

    await asyncio.gather(*(one.flush(shares.earned) for one in workers))
    await asyncio.gather(*(one.flush(shares.earned) for one in workers))

    assert {one.state.compared for one in workers} == {10 + 11 + 12 + 13 + 4}
    assert {one.state.found_wrong for one in workers} == {4}


async def test_a_threshold_that_is_lost_here_serves_no_more_before_others_know(shares: SqliteMeanings) -> None:
    one, other = learnt(), learnt()
    teach(one, 120)
    for each in (one, other):
        await each.flush(shares.earned)

    teach(one, 30, right=False)
    assert one.threshold is None
    assert other.threshold is not None
    await one.flush(shares.earned)
    await other.flush(shares.earned)

    assert other.threshold is None


async def test_a_threshold_that_others_lost_is_not_held_up_by_what_is_known_here(shares: SqliteMeanings) -> None:
    one, other = learnt(), learnt()
    teach(one, 120)
    await one.flush(shares.earned)
    await other.flush(shares.earned)
    teach(other, 5)
    teach(one, 30, right=False)
    await one.flush(shares.earned)

    await other.flush(shares.earned)

    assert other.threshold is None
    assert other.state.compared == 155


async def test_what_was_kept_by_a_stranger_or_is_damaged_is_nothing(shares: SqliteMeanings) -> None:
    one = learnt()
    teach(one, 120)
    await one.flush(shares.earned)
    held = await shares.earned.get("route")
    assert held is not None
    for number, value in enumerate((b"", b"x" * 100, held.value[:-1], held.value)):
        await shares.earned.put(f"other {number}", value, version=0)  # the last one is whole, and moved
        other = learnt(f"other {number}")

        await other.flush(shares.earned)

        assert other.threshold is None
        assert other.state.compared == 0


async def test_a_store_that_lost_it_makes_the_route_begin_anew(shares: SqliteMeanings, tmp_path: Path) -> None:
    one = learnt()
    teach(one, 120)
    await one.flush(shares.earned)
    emptied = SqliteMeanings(tmp_path / "new", Clock())

    await one.flush(emptied.earned)

    assert one.threshold is None
    await emptied.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["right", "bad", "flush", "away", "mute", "back", "die"]), st.booleans()),
        max_size=80,
    ),
    st.integers(0, 10**9),
)
async def test_whatever_is_lost_on_the_way_the_store_knows_no_more_right_ones_and_no_fewer_wrong_ones(
    steps: list[tuple[Any, bool]], number: int
) -> None:
    """Two workers, a store that is away, and one that does without saying so. Who dies loses what was not written."""
    held: dict[str, Any] = {}
    store = Sometimes(_Dictionary(held))
    workers = [learnt(str(number)), learnt(str(number))]
    right = wrong = lost = 0
    for what, first in steps:
        one = workers[first]
        if what == "right":
            one.learn((what, 0.95))
            right += 1
        elif what == "bad":
            one.learn((what, 0.95))
            wrong += 1
            await one.flush(store)  # as Routes does
        elif what == "flush":
            await one.flush(store)
        elif what == "die":
            lost += sum(kind == "bad" for kind, _ in one._pending)
            workers[first] = learnt(str(number))
        else:
            store.is_away, store.is_mute = what == "away", what == "mute"
    store.is_away = store.is_mute = False
    for one in workers * 2:
        await one.flush(store)

    assert workers[0].state == workers[1].state
    assert workers[0].state.compared <= right
    assert workers[0].state.found_wrong >= wrong - lost


class _Dictionary:
    def __init__(self, held: dict[str, Any]) -> None:
        self._held = held

    async def get(self, name: str) -> Any:
        return self._held.get(name)

    async def put(self, name: str, value: bytes, *, version: int) -> bool:
        held = self._held.get(name)
        if (0 if held is None else held.version) != version:
            return False
        self._held[name] = Versioned(value, version + 1)
        return True


async def test_a_route_learns_in_the_shadow_and_then_serves_also_after_a_restart(shares: SqliteMeanings) -> None:
    draws = random.Random(1)
    one = await ready(worker(shares, random=draws.random), EARNS)
    await kept(one, INSTALL, rule=EARNS)
    await step(one)
    seen = set()
    for _ in range(6000):
        found = await looked(one, asked(INSTALL_TOO, rule=EARNS))
        seen.add(found.verdict)
        if found.verdict == "shadow":
            await one.learn(found, SAME, SAME)
            await one._routes.flush()
        if found.verdict == "serve":
            break
    assert seen == {"shadow", "pass", "serve"}
    (state,) = one.state()
    assert (state["state"], state["wrong"]) == ("earned", 0)
    assert state["compared"] >= 60
    assert state["bound"] <= 0.05
    await one.close()

    other = await ready(worker(shares), EARNS)
    await other.look(asked(INSTALL_TOO, rule=EARNS))  # from here on the route is known
    await step(other)
    assert (await looked(other, asked(INSTALL_TOO, rule=EARNS))).verdict == "serve"

    changed = [
        asked(INSTALL_TOO, rule=replace(EARNS, max_error=0.04)),
        asked(INSTALL_TOO, rule=replace(EARNS, judge="gpt-4o")),
        replace(asked(INSTALL_TOO, rule=EARNS), hottest=0.2),
    ]
    assert await verdicts(other, changed) == ["pass"] * 3
    await other.close()


def test_another_model_template_rule_or_embedder_has_earned_nothing_yet() -> None:
    base = asked(rule=EARNS)
    others = [
        asked(rule=EARNS, target=replace(TARGET, model="other")),
        asked(rule=EARNS, target=replace(TARGET, template="t@2")),
        asked(rule=EARNS, target=replace(TARGET, deployments=(("a", "b"),))),
        asked(rule=replace(EARNS, max_error=0.01)),
        asked(rule=replace(EARNS, judge="x")),
        replace(base, route="other"),
    ]
    names = {name_of(one, "words", PEPPER) for one in [base, *others]} | {name_of(base, "other", PEPPER)}

    assert len(names) == len(others) + 2
    assert name_of(base, "words", PEPPER) == name_of(asked("Another question?", rule=EARNS), "words", PEPPER)


async def test_answers_that_differ_are_counted_shown_and_known_to_all_at_once(shares: SqliteMeanings) -> None:
    one = await ready(worker(shares, random=lambda: 0.0), EARNS)
    await kept(one, INSTALL, rule=EARNS)
    found = await looked(one, asked(INSTALL_TOO, rule=EARNS))
    assert found.verdict == "shadow"

    await one.learn(found, SAME, OTHER)
    await one.learn(replace(found, verdict="pass"), SAME, OTHER)  # no fair draw

    (state,) = one.state()
    assert (state["compared"], state["wrong"], state["state"]) == (1, 1, "learning")
    assert [(each["question"], each["neighbour"]) for each in state["wrong_examples"]] == [(INSTALL_TOO, INSTALL)]
    assert await shares.earned.get(one._routes.of(found.asked, "words").shared.name) is not None
    await one.forget([name(1)])
    assert one.state()[0]["wrong_examples"] == []
    await one.close()


async def test_a_threshold_of_the_policy_serves_at_once_and_is_said_to_be_unproven(shares: SqliteMeanings) -> None:
    one = await ready(worker(shares))
    await kept(one, INSTALL)
    await looked(one, asked(INSTALL_TOO))

    (state,) = one.state()
    assert (state["state"], state["threshold"], state["hits"], state["bound"]) == ("unproven", 0.9, 1, 1.0)
    await one.close()


def test_the_promise_allows_for_what_a_judge_misses() -> None:
    assert promise(EARNS).max_error == 0.05
    assert promise(replace(EARNS, judge="x")).max_error == pytest.approx(0.05 * 0.9)
    assert Earned(promise(EARNS), lambda: 0.5).bound(0.9) == 1.0


async def test_a_rule_that_was_changed_shows_once(shares: SqliteMeanings) -> None:
    one = await ready(worker(shares), EARNS)
    for share in (0.05, 0.04):
        await looked(one, asked(INSTALL, rule=replace(EARNS, max_error=share)))

    assert [state["max_error"] for state in one.state()] == [0.04]
    await one.close()


async def test_a_learning_that_is_cancelled_waits_for_no_judge(shares: SqliteMeanings) -> None:
    class Silent:
        async def ask(self, model: str, prompt: str) -> str:
            asking.set()
            await asyncio.Event().wait()
            return "SAME"

    asking = asyncio.Event()
    rule = replace(EARNS, judge="gpt-4o")
    one = await ready(worker(shares, judges=Silent(), random=lambda: 0.0), rule)
    await kept(one, INSTALL, rule=rule)
    found = await looked(one, asked(INSTALL_TOO, rule=rule))
    learning = asyncio.create_task(one.learn(found, SAME, document("You may take apt for it, or build it.")))
    await asking.wait()

    learning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await learning

    assert one.state()[0]["compared"] == 0
    await one.close()
