"""Tests that are to be alone are."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.alone import ALONE, TESTS, Turnstile

OTHER = """
import sys
from pathlib import Path
from tests.alone import Turnstile
turnstile = Turnstile(Path(sys.argv[1]))
print("comes", flush=True)
turnstile.enter(alone=sys.argv[2] == "alone")
print("is in", flush=True)
sys.stdin.read()
turnstile.leave(next_alone=False)
print("has left", flush=True)
"""


class Other:
    """Another worker: it comes, is in, and leaves when it is told to."""

    def __init__(self, folder: Path, how: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(folder), how],
            cwd=TESTS.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        assert self.said() == "comes"

    def said(self) -> str:
        return self._output.readline().strip()

    def speaks(self) -> bool:
        """Whether it says anything within a fifth of a second."""
        return bool(select.select([self._output], [], [], 0.2)[0])

    def leave(self) -> str:
        return self._process.communicate()[0].split("\n")[-2]

    def die(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_all_that_is_said_to_be_alone_is_there() -> None:
    assert [each for each in ALONE if not (TESTS / each).exists()] == []
    assert sorted(ALONE) == list(ALONE)


def test_any_number_are_in_at_once_if_none_is_to_be_alone(tmp_path: Path) -> None:
    mine, other = Turnstile(tmp_path), Other(tmp_path, "together")

    mine.enter(alone=False)

    assert other.said() == "is in"
    assert other.leave() == "has left"
    mine.leave(next_alone=False)


@pytest.mark.parametrize(("mine", "other"), [(True, "together"), (False, "alone"), (True, "alone")])
def test_nobody_is_in_with_somebody_who_is_to_be_alone(tmp_path: Path, mine: bool, other: str) -> None:
    turnstile = Turnstile(tmp_path)
    turnstile.enter(alone=mine)
    another = Other(tmp_path, other)

    assert not another.speaks()
    turnstile.leave(next_alone=False)

    assert another.said() == "is in"
    assert another.leave() == "has left"


def test_who_is_alone_may_stay_for_the_next_test(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    turnstile.enter(alone=True)
    another = Other(tmp_path, "alone")

    turnstile.leave(next_alone=True)
    turnstile.enter(alone=True)

    assert not another.speaks()
    turnstile.leave(next_alone=False)
    assert another.said() == "is in"
    assert another.leave() == "has left"


def test_who_dies_has_left(tmp_path: Path) -> None:
    turnstile, another = Turnstile(tmp_path), Other(tmp_path, "alone")
    assert another.said() == "is in"

    another.die()

    turnstile.enter(alone=True)
    turnstile.leave(next_alone=False)
