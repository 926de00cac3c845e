"""Which version a call gets: named ones are certain, drawn ones are sticky, and weights move as few as they can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.template.choose import Choice, choose, draw, named
from gateway.template.rules import Mode, Rollout, Template, Version

VERSIONS = {number: Version(number, f"{number:x}" * 12, ()) for number in (1, 2, 3)}
UNITS = [f"conversation {number}" for number in range(2000)]


def template(weights: Mapping[int, int] | None = None, **labels: int) -> Template:
    rollout = None if weights is None else Rollout(weights, labels.get("production", min(weights)))
    return Template("support", Mode.WHOLE, VERSIONS, labels.get("production", 1), labels=labels, rollout=rollout)


def told(choice: Choice | None) -> tuple[int, str] | None:
    return None if choice is None else (choice.version.number, choice.reason)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (None, (2, "label")),
        ("production", (2, "label")),
        ("staging", (3, "label")),
        ("3", (3, "number")),
        ("333333", (3, "hash")),
        ("333333333333", (3, "hash")),
        ("33333", None),
        ("4", None),
        ("", None),
        ("-1", None),
        ("²", None),
        ("canary", None),
        ("2" * 300, None),
        ("__class__", None),
    ],
)
def test_a_version_is_named_by_number_label_or_hash(asked: str | None, got: tuple[int, str] | None) -> None:
    assert told(choose(template(production=2, staging=3), asked, "")) == got


def test_a_hash_that_fits_two_versions_names_none() -> None:
    twins = Template("t", Mode.WHOLE, {1: Version(1, "abcdef000000", ()), 2: Version(2, "abcdef111111", ())}, 1)

    assert named(twins, "abcdef") is None
    assert told(named(twins, "abcdef1")) == (2, "hash")


def test_only_calls_for_production_take_part_in_a_rollout() -> None:
    rolling = template({1: 50, 3: 50}, production=1, staging=2)
    drawn = Counter(told(choose(rolling, asked, unit)) for unit in UNITS for asked in (None, "production"))

    assert set(drawn) == {(1, "rollout"), (3, "rollout")}
    assert {told(choose(rolling, "2", unit)) for unit in UNITS} == {(2, "number")}
    assert {told(choose(rolling, "staging", unit)) for unit in UNITS} == {(2, "label")}


def test_a_tenth_of_the_weight_is_a_tenth_of_the_conversations() -> None:
    drawn = Counter(draw(template(), Rollout({1: 90, 2: 10}, 1), unit, {1: 90, 2: 10}) for unit in UNITS)

    assert 150 < drawn[2] < 250  # 200 expected, with a deviation of 13; the draw is the same in every run


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([1, 2, 3]), st.integers(0, 100), min_size=2),
    st.sampled_from([1, 2, 3]),
    st.integers(1, 100),
)
def test_a_weight_that_grows_takes_conversations_and_gives_none_away(
    before: dict[int, int], grows: int, by: int
) -> None:
    after = {**before, grows: before.get(grows, 0) + by}
    rollout = Rollout(before, min(before))
    for unit in UNITS[:100]:
        was, now = (draw(template(), rollout, unit, weights) for weights in (before, after))
        assert now in (was, grows) or not any(before.values())


def test_what_is_stepped_back_gives_its_own_conversations_away_and_no_others() -> None:
    rolling = template({1: 40, 2: 30, 3: 30})
    for unit in UNITS[:500]:
        was, now = choose(rolling, None, unit), choose(rolling, None, unit, stepped_back={3})
        assert was is not None
        assert now is not None
        assert now.drawn == was.version.number
        if was.version.number == 3:
            assert (now.version.number in (1, 2), now.reason) == (True, "stepped_back")
        else:
            assert told(now) == told(was)


def test_without_a_version_left_the_baseline_answers() -> None:
    rolling = template({2: 50, 3: 50}, production=2)

    assert {told(choose(rolling, None, unit, stepped_back={2, 3})) for unit in UNITS} == {(2, "stepped_back")}
    assert {told(choose(rolling, None, unit, weights={2: 0, 3: 0})) for unit in UNITS} == {(2, "rollout")}


def test_a_conversation_keeps_its_version_until_that_is_taken_back() -> None:
    rolling = template({1: 1, 2: 1_000_000})

    assert told(choose(rolling, None, "u", kept=1)) == (1, "sticky")
    assert told(choose(rolling, None, "u", kept=1, weights={1: 0, 2: 1})) == (2, "rollout")
    assert told(choose(rolling, None, "u", kept=1, stepped_back={1})) == (2, "rollout")
    assert told(choose(rolling, None, "u", kept=99)) == (2, "rollout")


def test_another_salt_is_another_draw() -> None:
    weights = {1: 50, 2: 50}
    draws = [[draw(template(), Rollout(weights, 1, salt=salt), unit, weights) for unit in UNITS[:100]] for salt in "ab"]

    assert draws[0] != draws[1]
