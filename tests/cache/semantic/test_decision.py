"""A kept answer serves if nothing speaks against it and it is near enough."""

from __future__ import annotations

import pytest

from gateway.cache.semantic import decision
from gateway.cache.semantic.near import Near
from gateway.cache.semantic.reading import read


def kept(**questions: tuple[str, bytes | None]) -> dict[str, decision.Kept]:
    return {id: decision.Kept(read(text), answer) for id, (text, answer) in questions.items()}


ASKED = read("How do I install PostgreSQL on Ubuntu?")
SAME = "How can I install PostgreSQL on Ubuntu?"
OTHER = "How do I install MySQL on Ubuntu?"


def test_the_nearest_that_passes_the_guard_is_the_candidate() -> None:
    shelf = kept(wrong=(OTHER, None), right=(SAME, None))
    found = [Near("gone", 0.99), Near("wrong", 0.97), Near("right", 0.93)]

    made = decision.decide(ASKED, found, shelf.get, floor=0.8, threshold=0.9)

    assert (made.near, made.serves, made.veto) == (found[2], True, "name")


@pytest.mark.parametrize(("threshold", "serves"), [(None, False), (0.94, False), (0.93, True)])
def test_it_serves_only_above_a_threshold(threshold: float | None, serves: bool) -> None:
    made = decision.decide(ASKED, [Near("right", 0.93)], kept(right=(SAME, None)).get, floor=0.8, threshold=threshold)

    assert made.near == Near("right", 0.93)
    assert made.serves is serves


def test_below_the_floor_there_is_no_candidate() -> None:
    made = decision.decide(ASKED, [Near("right", 0.7)], kept(right=(SAME, None)).get, floor=0.8, threshold=0.5)

    assert made == decision.NOTHING


@pytest.mark.parametrize(
    ("rival", "score", "contested"),
    [(b"no", 0.90, True), (b"no", 0.80, False), (b"yes", 0.92, False), (None, 0.92, False)],
)
def test_a_candidate_beside_which_stands_another_answer_is_passed_over(
    rival: bytes | None, score: float, contested: bool
) -> None:
    shelf = kept(one=(SAME, b"yes"), other=(SAME, rival))
    found = [Near("one", 0.93), Near("other", score)]

    made = decision.decide(ASKED, found, shelf.get, floor=0.8, threshold=0.9)

    assert (made.veto == decision.CONTESTED) is contested
    assert made.serves is not contested
