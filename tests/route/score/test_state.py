"""A score is kept and read again."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.route.score.fit import fit
from gateway.route.score.prompt import Prompt
from gateway.route.score.score import Score
from gateway.route.score.state import VERSION, load, save
from tests.route.score.pairs import planted

LEARNED = fit(planted(100))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("score", [Score(), LEARNED])
def test_what_is_read_again_is_the_same(score: Score) -> None:
    again = load(json.loads(json.dumps(save(score))))

    assert again == score
    assert again.of(Prompt("an integral", "maths")) == score.of(Prompt("an integral", "maths"))


def test_the_state_of_any_prompts_can_be_written_as_utf_8() -> None:
    odd = [label.prompt.text + " \ud800 é 日本" for label in planted(20)]

    score = fit(
        [type(label)(Prompt(text), label.strong, label.weak) for label, text in zip(planted(20), odd, strict=True)]
    )

    assert load(orjson.loads(orjson.dumps(save(score)))) == score


@pytest.mark.parametrize("version", [VERSION + 1, VERSION - 1, None, str(VERSION)])
def test_another_version_is_ignored(version: object) -> None:
    assert load({**save(LEARNED), "version": version}) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"features": {"nobody's feature": [0, 1, 0]}},
        {"features": {"lines": [0, 0, 1]}},
        {"words": {"a": float("nan")}},
        {"words": {"a": "1"}},
        {"words": None},
        {"mean": float("inf")},
        {"length": [1]},
        {"labels": float("inf")},
        {"categories": [["a", 1]]},
    ],
)
def test_a_damaged_document_is_ignored(changed: dict[str, Any]) -> None:
    assert load({**save(LEARNED), **changed}) is None


@settings(deadline=None)
@given(name=st.sampled_from(sorted(save(LEARNED))), value=JSON)
def test_no_document_makes_it_fail(name: str, value: object) -> None:
    found = load({**save(LEARNED), name: value})

    assert found is None or isinstance(found, Score)


@settings(deadline=None)
@given(JSON)
def test_what_is_no_document_is_ignored(document: object) -> None:
    assert load(document) is None
