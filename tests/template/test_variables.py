"""What callers give is checked by name and type, and what is wrong is named (M1)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import InvalidRequest
from gateway.template.rules import Kind, Variable
from gateway.template.variables import values

ALL = {
    "text": Variable("text", Kind.STRING, required=True, most=5),
    "number": Variable("number", Kind.NUMBER, required=False, default=1),
    "flag": Variable("flag", Kind.BOOLEAN, required=False, default=False),
    "tone": Variable("tone", Kind.ENUM, required=False, default="a", choices=("a", "b")),
    "items": Variable("items", Kind.LIST, required=False, default=[], most=2),
    "object": Variable("object", Kind.OBJECT, required=False, default={}, most=2),
}


def test_what_is_not_given_has_its_default() -> None:
    assert values(ALL, {"text": "x"}) == {
        "text": "x",
        "number": 1,
        "flag": False,
        "tone": "a",
        "items": [],
        "object": {},
    }


@pytest.mark.parametrize("value", [0, 1.5, -(2**62)])
def test_numbers_are_whole_or_not(value: float) -> None:
    assert values(ALL, {"text": "", "number": value})["number"] == value


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        ({}, "text", "it is required, and missing"),
        ({"text": None}, "text", "expected a string, found null"),
        ({"text": 1}, "text", "expected a string, found a number"),
        ({"text": "123456"}, "text", "expected at most 5 characters, found 6"),
        ({"text": "", "txet": ""}, "txet", "the template has no such variable; it has flag, items, number"),
        ({"text": "", "number": True}, "number", "expected a number, found a boolean"),
        ({"text": "", "number": "1"}, "number", "expected a number, found a string"),
        ({"text": "", "number": 10**30}, "number", "the number is too large"),
        ({"text": "", "flag": 1}, "flag", "expected true or false, found a number"),
        ({"text": "", "tone": "c"}, "tone", "expected one of a, b"),
        ({"text": "", "tone": []}, "tone", "expected a string, found a list"),
        ({"text": "", "items": {}}, "items", "expected a list, found an object"),
        ({"text": "", "items": [1, 2, 3]}, "items", "expected at most 2 members, found 3"),
        ({"text": "", "object": [1]}, "object", "expected an object, found a list"),
        ({"text": "", "x" * 10_000: 1}, "x" * 64, "no such variable"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], name: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        values(ALL, given)

    error = refused.value
    assert (error.status, error.code, error.param) == (400, "template_variable", f"variables.{name}")
    assert words in error.message
