"""Standings are the same on all workers, whoever changes them when."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from msgspec.structs import replace

from gateway.core.errors import Conflict, Overloaded
from gateway.template.rollout.board import Board
from gateway.template.rollout.ledger import States
from gateway.template.rollout.standing import KEPT, Standing, Stepped
from tests.template.rollout.cast import Losing

STEPPED = Stepped(1.0, "errors", "+1%", 60.0, 50.0, 9, "v1")
KEY = "support|basis"


class Told:
    def __init__(self) -> None:
        self.versions: list[str] = []
        self.board = Board(lambda key, version, stepped: self.versions.append(version), pepper=b"pepper")


def again(there: Standing) -> Standing:
    return Standing(trial=there.trial + 1)


async def test_two_that_find_the_same_tell_once(store: States) -> None:
    one, other = Told(), Told()
    one.board.step_back(KEY, "v2", STEPPED)
    other.board.step_back(KEY, "v2", STEPPED)
    await asyncio.gather(one.board.flush(store, 1.0), other.board.flush(store, 1.0))
    await other.board.flush(store, 2.0)

    assert one.versions + other.versions == ["v2"]
    assert one.board.standing(KEY).stepped == other.board.standing(KEY).stepped == {"v2": STEPPED}


async def test_what_is_stepped_back_while_another_is_being_written_is_not_forgotten(store: States) -> None:
    one = Told()
    one.board.step_back(KEY, "v2", STEPPED)
    writing = asyncio.create_task(one.board.flush(store, 1.0))
    await asyncio.sleep(0)
    one.board.step_back(KEY, "v3", STEPPED)
    await writing
    await one.board.flush(store, 2.0)

    other = Told()
    await other.board.flush(store, 3.0)
    assert other.board.standing(KEY).stepped.keys() == {"v2", "v3"}


async def test_a_reset_wins_over_what_was_shown_before_it(store: States) -> None:
    one, other = Told(), Told()
    other.board.step_back(KEY, "v2", STEPPED)
    await one.board.change(store, KEY, again, 1.0)
    await other.board.flush(store, 2.0)

    assert other.board.standing(KEY).stepped == {}
    assert other.board.standing(KEY).trial == 1
    assert other.versions == []


async def test_a_change_that_is_refused_changes_nothing(store: States) -> None:
    def refuse(there: Standing) -> Standing:
        raise Conflict("no")

    one = Told()
    with pytest.raises(Conflict):
        await one.board.change(store, KEY, refuse, 1.0)

    assert await store.get("template standings") is None


async def test_many_changes_at_once_are_all_made(store: States) -> None:
    await asyncio.gather(*(Told().board.change(store, KEY, again, 1.0) for _ in range(4)))
    one = Told()
    await one.board.flush(store, 1.0)

    assert one.board.standing(KEY).trial == 4


async def test_a_change_that_cannot_be_written_is_said_to_be_none(store: States) -> None:
    with pytest.raises(Overloaded):
        await Told().board.change(Losing(store, Random(1), lost=1), KEY, again, 1.0)


async def test_what_nobody_changes_any_more_is_forgotten(store: States) -> None:
    one = Told()
    await one.board.change(store, "old|basis", again, 1.0)
    await one.board.change(store, KEY, lambda there: replace(there, trial=5), KEPT + 2.0)
    await one.board.flush(store, KEPT + 2.0)

    assert (one.board.standing("old|basis").trial, one.board.standing(KEY).trial) == (0, 5)
