"""JSON that is written as YAML says the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.source.as_yaml import as_yaml
from gateway.policy.source.document import parse

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\uf8fd\uf8fe\uf8ff"))
LINES = st.lists(TEXTS, max_size=4).map("\n".join)
VALUES = st.recursive(
    TEXTS | LINES | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def read(text: str) -> Any:
    document, mistakes = parse(text.encode(), "x.yaml", None)
    assert mistakes.found == [], text
    return document.root


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_as_the_same(value: dict[str, Any]) -> None:
    assert read(as_yaml(value)) == value


WORDS = ("no", "12:30", "1e3", "0o17", "~", "null", "", " a", "a ", "# x", "- x", "{{ x }}", "=", "é", "\x85", "\t")


@pytest.mark.parametrize("word", WORDS)
def test_words_that_yaml_takes_for_something_else_stay_text(word: str) -> None:
    assert read(as_yaml({word: word, "many": f"{word}\n{word}\n"})) == {word: word, "many": f"{word}\n{word}\n"}


def test_texts_of_several_lines_are_written_as_such() -> None:
    assert as_yaml({"mode": "whole", "text": "one\ntwo: 2\n"}) == "mode: whole\ntext: |\n  one\n  two: 2\n"
