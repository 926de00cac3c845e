"""Whatever workers, networks, clocks and ledgers do: what was held and spent adds up; see invariants.py and settlement.py."""

from __future__ import annotations

import pytest

from tests.simulation.histories import run
from tests.simulation.world import KINDS

OPERATIONS = 1_000


@pytest.mark.parametrize("fault", KINDS)
def test_budgets_hold_whatever_goes_wrong(fault: str) -> None:
    story = run(KINDS.index(fault), OPERATIONS, (fault,))

    assert story.seen[fault] > 0


@pytest.mark.parametrize("seed", range(8))
def test_budgets_hold_when_several_things_go_wrong(seed: int) -> None:
    story = run(seed, OPERATIONS)

    assert story.operations >= OPERATIONS


def test_a_seed_always_tells_the_same_story() -> None:
    assert run(1, 300) == run(1, 300)
