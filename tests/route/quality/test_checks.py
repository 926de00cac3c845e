"""A cascade asks a better model where an answer shows that it should not be served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.route.quality.agreement import Agreement, agree
from gateway.route.quality.answer import read
from gateway.route.quality.checks import CHECKS, first
from gateway.route.quality.schema import Uncheckable, meets
from tests.route.quality.completions import PERSON, calls, says, wants


@pytest.mark.parametrize(
    ("answer", "asked", "reason"),
    [
        (says("Half an ans", finish="length"), {}, "truncated"),
        (says("", finish="content_filter"), {}, "truncated"),
        (says(None, refusal="I will not."), {}, "refused"),
        (says("I'm sorry, but I can't help with that."), {}, "refused"),
        (says("I’m sorry, but I cannot assist."), {}, "refused"),
        (says("As an AI language model, I am not able to say."), {}, "refused"),
        (says("I cannot answer this."), {}, "refused"),
        (says(""), {}, "empty"),
        ({"choices": []}, {}, "empty"),
        (says("{oops"), wants(None), "schema_invalid"),
        (says("[1]"), wants(None), "schema_invalid"),
        (says("```json\n{}\n```"), wants(None), "schema_invalid"),
        (says('{"age": 1}'), wants(PERSON), "schema_invalid"),
        (calls(("a", "{oops")), {}, "schema_invalid"),
    ],
)
def test_an_answer_that_should_not_be_served_says_why(
    answer: dict[str, Any], asked: dict[str, Any], reason: str
) -> None:
    assert first(CHECKS, read(answer), asked) == reason


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (says("42"), {}),
        (says("{oops"), {}),
        (says("I'm sorry to hear that. Try turning it off and on again."), {}),
        (says("I can't help laughing, he said. " + "And so on. " * 60), {}),
        (says("Sorry means: I apologise."), {}),
        (says('{"name": "Ann"}'), wants(PERSON)),
        (says("{}"), wants(None)),
        (says('{"name": "Ann"}'), wants({"type": "nothing"})),
        (calls(("a", "{}")), {}),
        (calls(("a", "")), wants(PERSON)),
    ],
)
def test_other_answers_are_served(answer: dict[str, Any], asked: dict[str, Any]) -> None:
    assert first(CHECKS, read(answer), asked) is None


JSON, TEXT, TOOL = Agreement("json"), Agreement("text_exact"), Agreement("tool_call")
MEMBER, LAST = Agreement("json", "answer"), Agreement("text_exact", "last_number")


@pytest.mark.parametrize(
    ("one", "other", "agreement"),
    [
        (says('{"a":1}'), says('```json\n{"a": 1.0}\n```'), JSON),
        (says('{"why":"x","answer":"3"}'), says('{"answer":3,"why":"y"}'), MEMBER),
        (says('Here it is:\n\n```json\n{"why": "a\nb", "answer": 3}\n```'), says('So:\n{"answer": 3}\nGood?'), MEMBER),
        (says('{"answer":"$1,000"}'), says('{"answer":"1000.0"}'), MEMBER),
        (says('{"answer":[1,2]}'), says('{"answer":[1.0,2]}'), MEMBER),
        (says("Yes."), says(" Yes"), TEXT),
        (says("So 3 + 4 is 7."), says("It is 7"), LAST),
        (says("1,234.50"), says("the total: 1234.5."), LAST),
        (calls(("a", '{"x":1}')), calls(("a", '{"x": 1}')), TOOL),
    ],
)
def test_answers_that_come_to_the_same_agree(one: dict[str, Any], other: dict[str, Any], agreement: Agreement) -> None:
    assert agree(read(one), read(other), agreement)
    assert agree(read(other), read(one), agreement)


@pytest.mark.parametrize(
    ("one", "other", "agreement"),
    [
        (says('{"a":1}'), says('{"a":2}'), JSON),
        (says("no json"), says("no json"), JSON),
        (says('{"a":1}'), says('{"a":1}'), MEMBER),
        (says('{"answer":null}'), says('{"answer":""}'), MEMBER),
        (says('{"answer":true}'), says('{"answer":1}'), MEMBER),
        (says('{"answer":"mgiTr"}'), says('{"answer":"mGiTr"}'), MEMBER),
        (says("7 or 8"), says("8 or 7"), LAST),
        (says("none"), says("none"), LAST),
        (says("yes"), says("Yes"), TEXT),
        (says(""), says(""), TEXT),
        (says("a"), says("a"), TOOL),
        (calls(("a", "{")), calls(("a", "{")), TOOL),
        (calls(("a", "{}")), calls(("a", "{}")), TEXT),
        (says(None, refusal="No"), says(None, refusal="No"), TEXT),
    ],
)
def test_answers_that_differ_or_cannot_be_compared_do_not_agree(
    one: dict[str, Any], other: dict[str, Any], agreement: Agreement
) -> None:
    assert not agree(read(one), read(other), agreement)
    assert not agree(read(other), read(one), agreement)


def test_an_answer_is_read_from_parts_too() -> None:
    assert (
        read(
            says(None) | {"choices": [{"message": {"content": [{"type": "text", "text": "a"}, 3, {"text": "b"}]}}]}
        ).text
        == "ab"
    )


# Schemas are the callers'


def test_members_of_a_schema_are_checked_as_deep_as_they_go() -> None:
    schema = {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["value"]}},
        "$ref": "#/$defs/node",
    }

    assert meets('{"value": 1, "next": {"value": 2}}', wants(schema))
    assert not meets('{"value": 1, "next": {"next": {"value": 2}}}', wants(schema))


def doubling() -> dict[str, Any]:
    steps = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    return {"$defs": {**steps, "d40": {"type": "integer"}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (doubling(), "1"),
        ({"$ref": "#"}, "1"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "1"),
        ({"$ref": "#/nowhere"}, "1"),
        ({"properties": 5}, "1"),
        ({"patternProperties": {"^(x+)+$": {}}, "additionalProperties": False}, '{"' + "x" * 40 + '!": 1}'),
        ({"description": "x" * 200_000}, "1"),
        ({"items": {"type": "integer"}}, json.dumps([1] * 30_000)),
    ],
)
def test_a_schema_that_would_cost_too_much_is_given_up(schema: dict[str, Any], text: str) -> None:
    with pytest.raises(Uncheckable):
        meets(text, wants(schema))


def test_regular_expressions_are_not_tried() -> None:
    assert meets(json.dumps("x" * 40 + "!"), wants({"type": "string", "pattern": "^(x+)+$"}))


def test_items_are_found_to_be_unique_in_one_pass() -> None:
    wanted = wants({"uniqueItems": True})
    many = [{"x": number} for number in range(5_000)]

    assert meets(json.dumps(many), wanted)
    assert not meets(json.dumps([*many, {"x": 7.0}]), wanted)
    assert meets('[1, true, "1"]', wanted)
