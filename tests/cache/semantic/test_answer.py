"""Answers that repeat are known again; prose is not compared."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cache.semantic.answer import fingerprint


def said(content: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content}}]}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Yes.", "yes"), ("card_arrival", " card_arrival\n"), ('{"a": 1, "b": 2}', '{"b":2,"a":1}'), ("[1]", "[ 1 ]")],
)
def test_the_same_label_or_json_is_the_same_answer(one: str, other: str) -> None:
    assert fingerprint(said(one)) == fingerprint(said(other)) is not None


@pytest.mark.parametrize(("one", "other"), [("yes", "no"), ('{"a": 1}', '{"a": 2}'), ("[1]", "1")])
def test_others_are_not(one: str, other: str) -> None:
    assert fingerprint(said(one)) != fingerprint(said(other))


@pytest.mark.parametrize(
    "document", [said("word " * 40), said(None), said("  "), said([{"type": "text"}]), {}, {"choices": [{}, {}]}]
)
def test_prose_and_what_is_no_text_is_not_compared(document: dict[str, Any]) -> None:
    assert fingerprint(document) is None
