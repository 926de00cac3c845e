"""Only whole, successful, finished answers are kept, and only where policy and client agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.cache.admission import REFUSALS, Control, Outcome, Rules, read_control, refuse_answer, refuse_call

STRICT = Rules()
OPEN = Rules(tools=True, several=True, hottest=2.0)
FINE = Outcome(status=200, complete=True, size=500)
ANY = Control()


def choice(reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": "4", **message}}


def chat(*choices: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion", "choices": list(choices), **members}


TOOL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS_A_TOOL = choice("tool_calls", content=None, tool_calls=[TOOL])


ANSWERS: list[tuple[dict[str, Any], Outcome, str | None]] = [
    (chat(choice()), FINE, None),
    (chat(choice()), replace(FINE, status=429), "failed"),
    (chat(choice()), replace(FINE, status=500), "failed"),
    (chat(choice(), error={"message": "overloaded"}), FINE, "failed"),
    (chat(choice()), replace(FINE, complete=False), "incomplete"),
    (chat(choice()), replace(FINE, altered=True), "altered"),
    (chat(choice()), replace(FINE, size=2**20 + 1), "too_large"),
    (chat(), FINE, "incomplete"),
    (chat(choice(), choice()), FINE, "incomplete"),
    ({"choices": "x"}, FINE, "incomplete"),
    ({"choices": ["x"]}, FINE, "incomplete"),
    (chat(choice(None)), FINE, "incomplete"),
    (chat(choice("length")), FINE, "truncated"),
    (chat(choice("content_filter")), FINE, "filtered"),
    (chat(choice("insufficient_system_resource")), FINE, "unfinished"),
    (chat(choice(refusal="I can't help with that.")), FINE, "refused"),
    (chat(choice(content="")), FINE, "empty"),
    (chat(choice(content=" \n")), FINE, "empty"),
    (chat(choice(content=None)), FINE, "empty"),
    (chat(CALLS_A_TOOL), FINE, "tool_calls"),
    (chat(choice("stop", content=None, tool_calls=[TOOL])), FINE, "tool_calls"),
    ({"object": "text_completion", "choices": [{"text": "4", "finish_reason": "stop"}]}, FINE, None),
    ({"object": "text_completion", "choices": [{"text": "", "finish_reason": "stop"}]}, FINE, "empty"),
    ({"object": "list", "data": [{"embedding": [0.1]}]}, FINE, None),
    ({"object": "list", "data": [{"embedding": []}]}, FINE, "empty"),
    ({"object": "list", "data": []}, FINE, "incomplete"),
]


@pytest.mark.parametrize(("document", "outcome", "word"), ANSWERS)
def test_an_answer_is_kept_only_if_nothing_is_wrong_with_it(
    document: dict[str, Any], outcome: Outcome, word: str | None
) -> None:
    assert refuse_answer(document, outcome, STRICT) == word


def test_tool_calls_are_kept_where_the_policy_says_so() -> None:
    assert refuse_answer(chat(CALLS_A_TOOL), FINE, OPEN) is None


def test_every_choice_that_was_asked_for_must_be_there_and_whole() -> None:
    assert refuse_answer(chat(choice(), choice()), FINE, OPEN, wanted=2) is None
    assert refuse_answer(chat(choice(), choice("length")), FINE, OPEN, wanted=2) == "truncated"
    assert refuse_answer(chat(choice()), FINE, OPEN, wanted=2) == "incomplete"


@pytest.mark.parametrize(
    ("fields", "strict", "opened"),
    [
        ({}, None, None),
        ({"n": 1}, None, None),
        ({"n": 2}, "several", None),
        ({"temperature": 1.0}, None, None),
        ({"temperature": 1.5}, "too_hot", None),
        ({"temperature": None}, None, None),
        ({"tools": [TOOL]}, "has_tools", None),
        ({"tools": []}, None, None),
        ({"functions": [{}]}, "has_tools", None),
        ({"mcp_servers": [{"type": "url"}]}, "has_tools", None),
        ({"previous_response_id": "r"}, "keeps_state", "keeps_state"),
        ({"web_search_options": {}}, "keeps_state", "keeps_state"),
        ({"modalities": ["text", "audio"]}, "sound", "sound"),
        ({"modalities": "audio"}, "sound", "sound"),
        ({"modalities": 5}, "sound", "sound"),
        ({"temperature": "0"}, "too_hot", "too_hot"),
        ({"temperature": [1]}, "too_hot", "too_hot"),
    ],
)
def test_a_call_is_looked_up_by_policy(fields: dict[str, Any], strict: str | None, opened: str | None) -> None:
    assert refuse_call(fields, ANY, STRICT) == strict
    assert refuse_call(fields, ANY, OPEN) == opened


def test_a_policy_for_cold_calls_leaves_the_default_temperature_out() -> None:
    cold = Rules(hottest=0.3)

    assert refuse_call({}, ANY, cold) == "too_hot"
    assert refuse_call({"temperature": 0}, ANY, cold) is None


@pytest.mark.parametrize(
    ("header", "control"),
    [
        (None, Control()),
        (b"", Control()),
        (b"public, immutable", Control()),
        (b"no-store", Control(may_read=False, may_store=False)),
        (b"No-Store", Control(may_read=False, may_store=False)),
        (b"no-cache", Control(may_read=False)),
        (b"max-age=60", Control(max_age=60)),
        (b' max-age="60" ,x', Control(max_age=60)),
        (b"max-age=60, max-age=5", Control(max_age=5)),
        (b"max-age=0", Control(may_read=False, max_age=0)),
        (b"max-age=-1", Control(may_read=False, max_age=0)),
        (b"max-age=soon", Control(may_read=False, max_age=0)),
        (b"max-age=\xb2", Control(may_read=False, max_age=0)),
        (b"max-age=1000000000000", Control(max_age=2**31 - 1)),
        (b"max-age=" + b"9" * 5000, Control(max_age=2**31 - 1)),
        (b"no-cache, no-store", Control(may_read=False, may_store=False)),
    ],
)
def test_the_clients_cache_control_is_obeyed(header: bytes | None, control: Control) -> None:
    assert read_control(header) == control


def test_what_the_client_forbids_is_not_kept_whatever_the_policy() -> None:
    assert refuse_call({}, read_control(b"no-store"), OPEN) == "no_store"
    assert refuse_call({}, read_control(b"no-cache"), OPEN) is None


def test_every_word_is_explained() -> None:
    assert {word for *_, word in ANSWERS} - {None} < REFUSALS.keys()
