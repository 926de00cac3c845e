"""Why this model, in words: golden texts. And what was asked beside a call is found."""

from __future__ import annotations

from typing import Any

from gateway.trace.choice import chosen
from gateway.trace.reading.beside import whole
from gateway.trace.story import sentences
from tests.trace.rows import row
from tests.trace.stored import File, line

CANDIDATES = [
    {"name": "cheap", "standing": "certified", "skipped": None},
    {"name": "checked", "standing": "certified", "skipped": "a stream"},
    {"name": "dear", "standing": "refused", "skipped": "refused"},
]
RESULT = {
    "request_id": "req_1",
    "route": "small",
    "candidate": "cheap",
    "asked": "cheap",
    "is_audit": False,
    "probability": 0.25,
    "reference_quality": 1.0,
    "candidate_quality": 0.0,
    "reason": None,
}


def told(reason: str, *results: dict[str, Any], **decision: Any) -> list[str]:
    return list(chosen(row(reason=reason, decision=decision, trials=results)))


def test_where_there_was_nothing_to_choose_from_nothing_is_told() -> None:
    assert told("rule") == told("named") == list(chosen(row(decision=None))) == []


def test_a_candidate_that_has_shown_that_it_may() -> None:
    assert told("candidate", candidates=CANDIDATES, candidate="cheap") == [
        "Why this model: cheap answers the route's calls, as it has shown that it may.",
        "Its candidates: cheap (certified), checked (certified, passed over: a stream), dear (refused). "
        "Their certificates say what has been shown.",
    ]


def test_a_score_and_its_strongest_parts() -> None:
    parts = {f"word {number}": number / 1000 for number in range(9)} | {"route": -0.02}
    assert told("score", candidate="learned", score=0.016, threshold=0.03, parts=parts)[1:] == [
        "Its score, the quality that the weak model is expected to lose, is 0.016: not above 0.03, so the weak one. "
        "Most of it: route -0.02, word 8 +0.008, word 7 +0.007, word 6 +0.006, word 5 +0.005.",
    ]
    assert "is 0.05: above 0.03, so the strong one." in told("score", score=0.05, threshold=0.03, parts={})[1]


def test_trials_and_what_came_of_them() -> None:
    drawn = [
        {"asks": "cheap", "of": "cheap", "probability": 0.25},
        {"asks": "strong", "of": "dear", "probability": 0.02},
        {"asks": "checked", "of": "checked", "probability": 0.25},
        {"asks": "shown", "of": "shown", "probability": 0.1},
    ]
    results = [
        RESULT,
        {**RESULT, "candidate": "dear", "asked": "strong", "reference_quality": None, "reason": "budget"},
        {**RESULT, "candidate": "shown", "asked": "shown", "reference_quality": None, "candidate_quality": None},
    ]
    assert told("reference", *results, trials=drawn) == [
        "Why this model: the route's strong model answered, as no candidate has shown that it may answer this call.",
        "Asked beside it: cheap, to see whether it could have answered, as one of 25 % of such calls: "
        "the quality of cheap is 0, where the reference has 1.",
        "Asked beside it: strong, to check on dear, as one of 2 % of such calls: "
        "nothing was compared, for the budget of the route's trials did not cover it.",
        "Asked beside it: checked, to see whether it could have answered, as one of 25 % of such calls: "
        "what came of it is not recorded (yet).",
        "Asked beside it: shown, to see whether it could have answered, as one of 10 % of such calls: "
        "the answer was compared with nothing.",
    ]


def test_the_record_of_a_trial_tells_of_which_call_it_was() -> None:
    assert list(sentences(row(outcome="trial", trial=RESULT))) == [
        "What came of asking cheap beside the call req_1, of route 'small': "
        "the quality of cheap is 0, where the reference has 1."
    ]


def test_what_was_asked_beside_a_call_is_found_and_nobody_else_s(file: File) -> None:
    drawn = {"trials": [{"asks": "cheap", "of": "cheap", "probability": 1.0}]}
    file.writer.write(
        [
            line("a", decision=drawn, span_id="1" * 16),
            line("a_0b", decision=drawn),
            line("trial_a_01", outcome="trial", trial={**RESULT, "request_id": "a"}),
            line("trial_a_0b_02", outcome="trial", trial={**RESULT, "request_id": "a_0b"}),
            line("own_1", org="llmgw", tags=["trial"], parent_span_id="1" * 16),
            line("own_2", org="llmgw", link={"trace_id": "1" * 32, "span_id": "1" * 16}, parent_span_id=None),
            line("own_3", org="llmgw", parent_span_id=None),
            line("b", parent_span_id="1" * 16),
        ]
    )
    found = {id: whole(file.reader, id) or {} for id in ("a", "a_0b", "own_1", "own_2", "own_3", "b")}

    assert [each["request_id"] for each in found["a"]["trials"]] == ["a"]
    assert [each["request_id"] for each in found["a_0b"]["trials"]] == ["a_0b"]
    assert [found[id].get("made_for") for id in ("own_1", "own_2", "own_3", "b")] == ["a", "a", None, None]
    assert whole(file.reader, "c") is None
    assert "The gateway made it for the call req_1 (trial)." in list(sentences(row(made_for="req_1", tags=["trial"])))
