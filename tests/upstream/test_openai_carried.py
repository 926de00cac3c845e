"""What other dialects' answers left in a chat client's conversation goes, for providers that would refuse it, and is named."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from gateway.core.deployment import Deployment, Provider
from gateway.upstream.dialects.dialect import Outgoing
from gateway.upstream.dialects.openai.dialect import OpenAI
from tests.upstream.translating import chat

SIGNED = {"google": {"thought_signature": "c2ln"}}
CALLED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "5"}
ASKED = {"role": "user", "content": "Hi", "odd": 1.50}
LONG = "chatcmpl-tool-" + "0" * 32


def sent(*messages: Any, host: str = "api.example.com", model: str = "asked") -> Outgoing:
    call = chat(messages=list(messages))
    target = Deployment("p/m", Provider("p", "openai", host=host), model, None)
    return OpenAI().request(call, target, None, now=0.0)


def said(outgoing: Outgoing) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(outgoing.body)["messages"]
    return told


@pytest.mark.parametrize(
    ("host", "model", "is_kept"),
    [
        ("api.openai.com", "asked", False),
        ("generativelanguage.googleapis.com", "asked", True),
        ("gateway.example.com", "google/gemini-3-pro", True),
    ],
)
def test_a_call_s_signature_is_sent_to_models_of_google_s_alone(host: str, model: str, is_kept: bool) -> None:
    outgoing = sent(
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": [{**CALLED, "extra_content": SIGNED}]},
        RESULT,
        host=host,
        model=model,
    )

    assert ("extra_content" in said(outgoing)[1]["tool_calls"][0]) == is_kept
    assert outgoing.dropped == (() if is_kept else ("messages[1].tool_calls[0].extra_content",))
    assert b'"odd": 1.5' in outgoing.body  # every other message stays as it was written


def test_thinking_that_was_signed_is_sent_to_claudes_alone() -> None:
    message = {"role": "assistant", "content": "x", "thinking_blocks": [{"type": "thinking"}], "reasoning_items": [{}]}

    assert said(sent(ASKED, message))[1] == {"role": "assistant", "content": "x"}
    kept = sent(ASKED, message, model="anthropic/claude-sonnet-4-5")
    assert "thinking_blocks" in said(kept)[1]
    assert kept.dropped == ("messages[1].reasoning_items",)


@pytest.mark.parametrize(
    ("host", "is_kept"), [("api.openai.com", False), ("eu.api.openai.com", False), ("localhost", True)]
)
def test_readable_reasoning_is_sent_to_whoever_is_not_known_to_refuse_it(host: str, is_kept: bool) -> None:
    outgoing = sent(ASKED, {"role": "assistant", "content": "x", "reasoning_content": "hm"}, host=host)

    assert ("reasoning_content" in said(outgoing)[1]) == is_kept
    assert outgoing.dropped == (() if is_kept else ("messages[1].reasoning_content",))


@pytest.mark.parametrize(("host", "pattern"), [("h", "call_[0-9a-f]{32}"), ("api.mistral.ai", "[0-9a-f]{9}")])
def test_an_id_that_is_too_long_is_another_in_the_call_and_in_its_result(host: str, pattern: str) -> None:
    calls = [{**CALLED, "id": LONG}, {**CALLED, "id": LONG + "1"}]
    results = [{**RESULT, "tool_call_id": call["id"]} for call in calls]

    told = said(sent(ASKED, {"role": "assistant", "tool_calls": calls, "content": None}, *results, host=host))

    ids = [call["id"] for call in told[1]["tool_calls"]]
    assert [message["tool_call_id"] for message in told[2:]] == ids
    assert len(set(ids)) == 2
    assert all(re.fullmatch(pattern, id) for id in ids)
    assert ids == [
        call["id"] for call in said(sent(ASKED, {"role": "assistant", "tool_calls": calls}, host=host))[1]["tool_calls"]
    ]


def test_an_answer_that_a_filter_kept_back_is_an_empty_text() -> None:
    assert said(sent(ASKED, {"role": "assistant", "content": None}))[1] == {"role": "assistant", "content": ""}


def test_a_conversation_that_needs_no_change_is_the_client_s_own_bytes() -> None:
    call = chat(messages=[ASKED, {"role": "assistant", "content": None, "tool_calls": [CALLED]}, RESULT])
    target = Deployment("p/m", Provider("p", "openai", host="api.openai.com"), "asked", None)

    assert OpenAI().request(call, target, None, now=0.0).body == call.body
