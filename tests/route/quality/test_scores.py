"""A candidate's answer is worth what it is beside the reference's, and a bad one can never make itself unmeasurable."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.route.quality import judge
from gateway.route.quality.answer import read
from gateway.route.quality.scores import REASONS, SCORERS, Unscored, score
from tests.route.quality.completions import BAD_ANSWERS, PERSON, calls, says, wants

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Why?"}]}


@pytest.mark.parametrize(
    ("name", "candidate", "reference", "expected"),
    [
        ("exact", "Paris.", " Paris ", 1),
        ("exact", "a  b\nc", "a b c", 1),
        ("exact", "cafe\u0301", "caf\u00e9", 1),
        ("exact", "mgiTr", "mGiTr", 0),
        ("exact", "Paris", "London", 0),
        ("json_equal", '{"a": 1, "b": [1.0, 2]}', '{"b":[1,2],"a":1e0}', 1),
        ("json_equal", "```json\n[1]\n```", "[1]", 1),
        ("json_equal", '{"a": true}', '{"a": 1}', 0),
        ("json_equal", "[1, 2]", "[2, 1]", 0),
        ("json_equal", '{"a": 1, "a": 1}', '{"a": 1}', 0),
        ("json_equal", "[NaN]", "[1]", 0),
        ("json_equal", "[" * 100_000, "[1]", 0),
        ("json_equal", "It is 1.", "1", 0),
        ("unit", "1 km", "1000 m", 1),
        ("unit", "1,000m", "1 km.", 1),
        ("unit", "90 min", "1.5 hours", 1),
        ("unit", "12 in", "1 ft", 1),
        ("unit", "$5", "$5.00", 1),
        ("unit", "50 %", "50 percent", 1),
        ("unit", "3 apples", "3 Apples", 1),
        ("unit", "42", "42.0", 1),
        ("unit", "1e3 m", "1 km", 1),
        ("unit", "1 kg", "1 km", 0),
        ("unit", "1 km", "1001 m", 0),
        ("unit", "5 apples", "5 pears", 0),
        ("unit", "$5", "€5", 0),
        ("unit", "42", "42 m", 0),
        ("unit", "about 3", "3", 0),
    ],
)
def test_what_two_texts_are_worth_to_each_other(name: str, candidate: str, reference: str, expected: float) -> None:
    assert score(name, says(candidate), says(reference), {}) == expected


def test_a_code_block_round_json_counts_where_json_was_asked_for() -> None:
    assert score("json_equal", says("```json\n{}\n```"), says("{}"), wants(None)) == 0
    assert score("json_equal", says(" { } "), says("{}"), wants(None)) == 1


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [('{"name": "Ann", "age": 3}', 1), ('{"name": "Bob"}', 1), ('{"age": 3}', 0), ('{"name": 1}', 0), ("Ann", 0)],
)
def test_a_schema_says_what_an_answer_is_worth(candidate: str, expected: float) -> None:
    assert score("schema", says(candidate), says('{"name": "Ann"}'), wants(PERSON)) == expected


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (calls(("a", '{"x": 1, "y": 2}'), ("b", "{}")), 1),
        (calls(("b", ""), ("a", '{"y": 2.0, "x": 1}')), 1),
        (calls(("a", '{"x": 1, "y": 2}')), 0),
        (calls(("a", '{"x": 1, "y": 2}'), ("b", "{}"), ("b", "{}")), 0),
        (calls(("a", '{"x": 1, "y": 3}'), ("b", "{}")), 0),
        (calls(("a", "{"), ("b", "{}")), 0),
        (says("I would call a."), 0),
    ],
)
def test_tool_calls_are_the_same_in_any_order(candidate: dict[str, Any], expected: float) -> None:
    reference = calls(("a", '{"x": 1, "y": 2}'), ("b", "{}"))

    assert score("tool_call_equal", candidate, reference, {}) == expected


@pytest.mark.parametrize(
    ("name", "reference", "asked", "reason"),
    [
        ("exact", calls(("a", "{}")), {}, "not_text"),
        ("json_equal", says("Paris"), {}, "not_json"),
        ("unit", says("Paris"), {}, "not_quantity"),
        ("tool_call_equal", says("Paris"), {}, "no_tool_calls"),
        ("tool_call_equal", calls(("a", "{")), {}, "no_tool_calls"),
        ("schema", says("{}"), {}, "no_schema"),
        ("schema", says("{}"), wants(PERSON), "schema_unusable"),
        ("schema", says("{}"), wants({"type": "nothing"}), "schema_unusable"),
        *[(name, bad, {}, "reference_unusable") for name in SCORERS for bad in BAD_ANSWERS],
    ],
)
def test_what_cannot_be_compared_says_why_whatever_the_candidate_said(
    name: str, reference: dict[str, Any], asked: dict[str, Any], reason: str
) -> None:
    assert reason in REASONS
    for candidate in [reference, says("{}"), says("1"), calls(("a", "{}")), *BAD_ANSWERS]:
        assert score(name, candidate, reference, asked) == Unscored(reason)


@pytest.mark.parametrize(
    ("name", "reference", "asked"),
    [
        ("exact", says("x"), {}),
        ("json_equal", says("[1]"), {}),
        ("schema", says("{}"), wants(None)),
        ("tool_call_equal", calls(("a", "{}")), {}),
        ("unit", says("3 m"), {}),
    ],
)
def test_a_bad_answer_is_worth_nothing_and_is_measured(
    name: str, reference: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert score(name, reference, reference, asked) == 1
    for candidate in [*BAD_ANSWERS, says("[" * 10_000), says("9" * 10_000), says("x" * 1_100_000)]:
        assert score(name, candidate, reference, asked) == 0


# The judge


def test_a_judge_is_told_the_request_and_both_answers_and_not_whose_they_are() -> None:
    asked = judge.prompt(read(says("Because.")), read(says("For a reason.")), ASKED, candidate_first=True)
    swapped = judge.prompt(read(says("Because.")), read(says("For a reason.")), ASKED, candidate_first=False)

    assert isinstance(asked, str)
    assert isinstance(swapped, str)
    assert "user: Why?" in asked
    assert asked.index("Because.") < asked.index("For a reason.")
    assert swapped.index("Because.") > swapped.index("For a reason.")
    assert "candidate" not in asked.casefold()
    assert "reference" not in asked.casefold()


def test_no_answer_can_end_its_own_place_in_the_prompt() -> None:
    first, second = (judge.prompt(read(says("a")), read(says("b")), ASKED, candidate_first=True) for _ in range(2))

    assert first != second


@pytest.mark.parametrize(
    ("reply", "candidate_first", "expected"),
    [
        ("SAME", True, 1),
        ("**First**", True, 1),
        ("second.", False, 1),
        ("SECOND", True, 0),
        ("FIRST", False, 0),
        ("FIRST or SAME", True, 0),
        ("", True, 0),
    ],
)
def test_a_verdict_is_one_word_and_any_other_is_against_the_candidate(
    reply: str, candidate_first: bool, expected: float
) -> None:
    assert judge.quality(reply, candidate_first=candidate_first) == expected


def test_a_judge_is_not_asked_what_is_plain() -> None:
    good = read(says("Because."))

    assert judge.prompt(good, good, ASKED, candidate_first=True) == 1.0
    for bad in [*BAD_ANSWERS, calls(("a", "{}")), says("x" * 9000)]:
        assert judge.prompt(read(bad), good, ASKED, candidate_first=True) == 0.0


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"messages": []},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "content": "x" * 40_000}]},
    ],
)
def test_what_a_judge_cannot_read_is_not_scored(asked: dict[str, Any]) -> None:
    good = read(says("Because."))
    for candidate in (good, *map(read, BAD_ANSWERS)):
        assert judge.prompt(candidate, good, asked, candidate_first=True) == Unscored("too_long")
    long = read(says("y" * 9000))
    assert judge.prompt(good, long, ASKED, candidate_first=True) == Unscored("too_long")
    assert judge.prompt(good, read(says("")), ASKED, candidate_first=True) == Unscored("reference_unusable")
