"""How good a candidate's answer is beside the reference's, which counts as 1.

Whether an answer can be scored depends on the request and the reference's answer alone, and never on the candidate's: else a
bad one that cannot be scored would count as none at all, and labels would stand for better answers than are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.route.quality import checks
from gateway.route.quality.agreement import Agreement, agree, same_calls, same_text
from gateway.route.quality.answer import Answer, read
from gateway.route.quality.canonical import NotJson, canonical, json_in, parse
from gateway.route.quality.schema import Uncheckable, asks_for_json, meets
from gateway.route.quality.units import quantity, same


@dataclass(frozen=True, slots=True)
class Unscored:
    """`reason` is one of REASONS."""

    reason: str


REASONS = {
    "reference_unusable": "the reference's answer is cut, empty or a refusal",
    "not_text": "the reference's answer is no text",
    "not_json": "the reference's answer is no JSON",
    "not_quantity": "the reference's answer is no number, with a unit or without",
    "no_tool_calls": "the reference's answer calls no tool",
    "no_schema": "the request asks for no JSON",
    "schema_unusable": "the schema cannot be checked, or the reference's answer does not meet it",
    "too_long": "the request or the reference's answer is too long for a judge, or is not made of words",
}

Scorer = Callable[[Answer, Answer, Mapping[str, Any]], float | Unscored]
"""Of the candidate's answer, the reference's, and the body of the request."""


def score(
    name: str, candidate: Mapping[str, Any], reference: Mapping[str, Any], asked: Mapping[str, Any]
) -> float | Unscored:
    """The candidate's quality from 0 to 1, by the scorer of that name; both answers are chat completions."""
    ours, theirs = read(candidate), read(reference)
    reason = unusable(theirs, asked)
    return reason if reason is not None else SCORERS[name](ours, theirs, asked)


def unusable(reference: Answer, asked: Mapping[str, Any]) -> Unscored | None:
    """Why nothing can be measured by this answer."""
    is_bad = checks.first(("truncated", "empty", "refused"), reference, asked)
    return Unscored("reference_unusable") if is_bad else None


def exact(candidate: Answer, reference: Answer, asked: Mapping[str, Any]) -> float | Unscored:
    """1 for the same text, see agreement.same_text."""
    if reference.tool_calls:
        return Unscored("not_text")
    return float(_is_text(candidate) and same_text(candidate.text, reference.text))


def json_equal(candidate: Answer, reference: Answer, asked: Mapping[str, Any]) -> float | Unscored:
    """1 for the same value. What stands round it is passed over, but where the request asked for JSON."""
    inside = str if asks_for_json(asked) else json_in
    try:
        wanted = canonical(parse(inside(reference.text)))
    except NotJson:
        return Unscored("not_json")
    try:
        return float(_is_text(candidate) and canonical(parse(inside(candidate.text))) == wanted)
    except NotJson:
        return 0.0


def schema(candidate: Answer, reference: Answer, asked: Mapping[str, Any]) -> float | Unscored:
    """1 for what `response_format` asks for, whatever it says."""
    if not asks_for_json(asked):
        return Unscored("no_schema")
    try:
        if not meets(reference.text, asked):
            return Unscored("schema_unusable")
    except Uncheckable:
        return Unscored("schema_unusable")
    try:
        return float(_is_text(candidate) and meets(candidate.text, asked))
    except Uncheckable:
        return 0.0


def tool_call_equal(candidate: Answer, reference: Answer, asked: Mapping[str, Any]) -> float | Unscored:
    """1 for the same calls, in any order; whatever is said beside them does not count."""
    if not agree(reference, reference, Agreement("tool_call")):
        return Unscored("no_tool_calls")
    return float(candidate.is_whole and same_calls(candidate.tool_calls, reference.tool_calls))


def unit(candidate: Answer, reference: Answer, asked: Mapping[str, Any]) -> float | Unscored:
    """1 for the same quantity, in whatever unit."""
    wanted = quantity(reference.text)
    if wanted is None or reference.tool_calls:
        return Unscored("not_quantity")
    found = quantity(candidate.text) if _is_text(candidate) else None
    return float(found is not None and same(found, wanted))


SCORERS: dict[str, Scorer] = {
    "exact": exact,
    "json_equal": json_equal,
    "schema": schema,
    "tool_call_equal": tool_call_equal,
    "unit": unit,
}
"""Those that ask nobody; see `judge` for the one that does."""


def _is_text(answer: Answer) -> bool:
    return answer.is_whole and not answer.is_empty and not answer.tool_calls and not answer.refusal
