"""What is read in a prompt."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.route.score.features import LONGEST_TEXT, NAMES, read
from gateway.route.score.prompt import Prompt

SHOWN_BY = {
    "asks what": "What is it",
    "asks how many": "how many",
    "negations": "This is not it",
    "comparisons": "more than that",
    "conditions": "if it rains",
    "asks to write": "Write a poem",
    "asks to explain": "Explain it",
    "asks to prove": "Prove it",
    "asks to calculate": "calculate it",
    "money": "it costs $5",
    "percent": "5%",
    "words of code": "def f(): return",
    "equals": "x = y",
    "inequalities": "x ≤ y",
    "backslashes": "\\frac",
    "backticks": "`x`",
    "question marks": "So?",
    "lines": "one\ntwo",
    "numbers": "7",
    "longest number": "12345",
    "large numbers": "12345",
    "capitals": "USA",
    "list items": "these:\n- one\n- two",
    "links": "see https://example.com",
    "json": '{"a": 1}',
    "underscores": "the capital is ____",
    "not ASCII": "é",
    "Chinese, Japanese or Korean": "日本",
    "Arabic or Hebrew": "שלום",
    "Cyrillic or Greek": "привет",
}


def features(text: str, messages: int = 1) -> dict[str, float]:
    return dict(zip(NAMES, read(Prompt(text, messages=messages)).features, strict=True))


@pytest.mark.parametrize(("name", "text"), SHOWN_BY.items())
def test_a_feature_is_what_its_name_says(name: str, text: str) -> None:
    assert features(text)[name] > features("plain word")[name]


def test_messages_are_counted() -> None:
    assert features("x", messages=5)["messages"] > features("x")["messages"]


def test_features_have_different_names() -> None:
    assert len(set(NAMES)) == len(NAMES) <= 100


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=500))
def test_features_are_finite_whatever_the_text(text: str) -> None:
    assert all(map(math.isfinite, features(text).values()))


def test_words_are_read_one_by_one_and_two_by_two() -> None:
    reading = read(Prompt("The cat, the CAT; 7 cats paid 123456"))

    assert reading.words == ["the", "cat", "0", "cats", "paid", "000000"]
    assert reading.pairs == [
        *(("the", "cat"), ("cat", "the"), ("the", "cat"), ("cat", "0"), ("0", "cats")),
        *(("cats", "paid"), ("paid", "000000")),
    ]


def test_scripts_without_spaces_are_read_by_the_character() -> None:
    reading = read(Prompt("日本٣"))

    assert reading.words == ["日", "本", "0"]
    assert reading.pairs == [("日", "本"), ("本", "0")]


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=0x2FFF) | st.sampled_from("aA0 _-"), max_size=50))
def test_a_foreign_word_changes_nothing_else(text: str) -> None:
    alone, beside = read(Prompt(text)), read(Prompt(f"{text} жук"))

    assert beside.words == list(dict.fromkeys([*alone.words, "жук"]))


def test_of_a_long_text_the_beginning_and_the_end_are_read_and_all_of_it_is_counted() -> None:
    text = f"first {'filler ' * LONGEST_TEXT} middle {'filler ' * LONGEST_TEXT} last"

    reading = read(Prompt(text))

    assert {"first", "last"} <= set(reading.words)
    assert "middle" not in reading.words
    assert reading.length == pytest.approx(math.log(len(text)), rel=1e-3)
