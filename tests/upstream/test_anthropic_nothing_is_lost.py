"""Each member of a request, OpenAI's or Anthropic's, is forwarded, mapped, named as dropped, or refused: never none of these."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types.beta import message_create_params as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import completion_create_params as ours

from gateway.core.call import Call
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import InvalidRequest
from gateway.ingress.anthropic.arrival import MessagesArrival
from gateway.ingress.anthropic.speech import AnthropicSpeech
from gateway.ingress.request import Request
from gateway.upstream.dialects import DIALECTS
from tests.upstream.test_anthropic_request import HI, WEATHER, call

TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
CHAT: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"1": 1},
    "logprobs": True,
    "max_completion_tokens": 5,
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "another"}],
    "metadata": {"a": "b"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "m"},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": 0.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"ttl": "1h"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "high",
    "response_format": {"type": "json_object"},
    "safety_identifier": "s",
    "seed": 1,
    "service_tier": "flex",
    "stop": "X",
    "store": True,
    "temperature": 0.5,
    "tool_choice": "required",
    "tools": [WEATHER],
    "top_logprobs": 2,
    "top_p": 0.5,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {},
    "something_new": {"a": 1},
}
"""A value that says something, for each parameter of a chat."""
NO_PART_OF_IT = {"model", "stream", "stream_options"}
"""Said by the gateway itself in the words of each provider."""
MESSAGES: dict[str, Any] = {
    "cache_control": {"type": "ephemeral"},
    "container": "c",
    "context_management": {"edits": []},
    "diagnostics": {"previous_message_id": "m"},
    "billing_policy": "b",
    "compaction": {"type": "x"},
    "fallback_credit_token": "t",
    "inference_geo": "eu",
    "max_tokens": 7,
    "mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}],
    "messages": [{"role": "user", "content": "another"}],
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low"},
    "output_format": {"type": "json_schema", "schema": {"type": "object"}},
    "service_tier": "standard_only",
    "speed": "fast",
    "stop_sequences": ["X"],
    "system": "Be brief",
    "temperature": 0.5,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "tool_choice": {"type": "any"},
    "tools": [TOOL],
    "thread": {"id": "t"},
    "top_k": 5,
    "top_p": 0.5,
    "user_profile_id": "u",
    "something_new": {"a": 1},
}
REFUSED = {"audio", "function_call", "functions", "modalities", "n"}
IN_HEADERS = {"betas", "workspace_id"}
PAST_THE_POLICY = {"fallbacks"}
"""Models that the policy knows nothing of: refused, wherever the call may go."""
TURNS: list[Any] = [
    {"role": "user", "content": [{"type": "search_result", "title": "t", "source": "s", "content": []}]},
    {"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]},
    {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
    {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "d"}, "title": "t"}]},
    {
        "role": "user",
        "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}, "citations": {"enabled": True}}],
    },
    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]},
    {"role": "user", "content": [{"type": "something_new", "x": 1}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x", "is_error": True}]},
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "f"}]}
        ],
    },
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}]},
    {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "d"}]},
    {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]},
    {"role": "assistant", "content": [{"type": "text", "text": "x", "citations": [{"type": "char_location"}]}]},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
    {"role": "system", "content": "later"},
]
BASE: dict[str, Any] = {"model": "claude", "max_tokens": 5000, "messages": HI}


def arrived(fields: dict[str, Any]) -> Call:
    request = Request(method=b"POST", target=b"/", headers={}, body=json.dumps(fields).encode())
    return MessagesArrival(request, id="req_1", speech=AnthropicSpeech("req_1")).read(strict=False)


def changed(asked: Call) -> Call:
    """The same after something has changed it: it can no longer be passed on as it came."""
    asked.native = None
    return asked


def said(asked: Call, dialect: str) -> tuple[Any, set[str]]:
    deployment = Deployment("p/m", Provider("p", dialect), "claude-sonnet-4-5", None)
    outgoing = DIALECTS[dialect].request(asked, deployment, None, now=0.0)
    return json.loads(outgoing.body), {*asked.dropped, *outgoing.dropped}


def test_every_parameter_of_both_dialects_is_tried() -> None:
    assert ours.CompletionCreateParamsBase.__annotations__.keys() <= CHAT.keys() | NO_PART_OF_IT
    assert (
        theirs.MessageCreateParamsBase.__annotations__.keys()
        <= MESSAGES.keys() | NO_PART_OF_IT | IN_HEADERS | PAST_THE_POLICY
    )
    with pytest.raises(InvalidRequest):
        arrived({**BASE, "fallbacks": [{"model": "m"}]})


@pytest.mark.parametrize("name", CHAT)
def test_a_chat_s_parameter_to_anthropic(name: str) -> None:
    beside: dict[str, Any] = {"tools": [WEATHER]} if name in ("tool_choice", "parallel_tool_calls") else {}
    before, _ = said(call(max_tokens=5000, **beside), "anthropic")
    fields = {"max_tokens": 5000, **beside, name: CHAT[name]}
    if name == "max_completion_tokens":
        del fields["max_tokens"]
    if name in REFUSED:
        with pytest.raises(InvalidRequest) as refused:
            said(call(**fields), "anthropic")
        assert refused.value.param == name
        return

    after, dropped = said(call(**fields), "anthropic")

    assert (after != before) != (name in dropped)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_s_parameter(name: str, dialect: str) -> None:
    beside = {"tools": [TOOL]} if name == "tool_choice" else {}
    before, _ = said(changed(arrived({**BASE, **beside})), dialect)
    after, dropped = said(changed(arrived({**BASE, **beside, name: MESSAGES[name]})), dialect)

    assert (after != before) != (name in dropped)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: json.dumps(turn["content"])[:60])
def test_a_turn_is_said_or_its_message_named(turn: Any, dialect: str) -> None:
    body, dropped = said(changed(arrived({**BASE, "messages": [*HI, turn, *HI]})), dialect)
    without, _ = said(changed(arrived({**BASE, "messages": [*HI, *HI]})), dialect)

    assert body != without or any(name.startswith("messages[1]") for name in dropped)
    if dialect == "anthropic":
        assert not dropped


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: json.dumps(turn["content"])[:60])
def test_a_turn_that_can_no_longer_be_passed_on_as_it_came_says_the_same_to_anthropic(turn: Any) -> None:
    if turn["role"] == "system":
        pytest.skip("is told within a user's turn")
    body, _ = said(changed(arrived({**BASE, "messages": [*HI, turn, *HI]})), "anthropic")

    blocks = [block for each in body["messages"] for block in each["content"]]
    assert all(block in blocks for block in turn["content"]), blocks


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
shapes = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.just(value)
        for name, value in (MESSAGES | {"stream": True}).items()
        if name not in ("messages", "max_tokens")
    },
)
blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "document", "tool_use", "tool_result", "thinking", "new"])},
    optional={
        "text": json_values,
        "source": json_values,
        "id": json_values,
        "name": json_values,
        "input": json_values,
        "tool_use_id": json_values,
        "content": json_values,
        "title": json_values,
        "cache_control": json_values,
    },
)
turns = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": st.text() | st.lists(blocks, max_size=3)}
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(fields=shapes, messages=turns)
def test_whatever_is_asked_is_said_to_every_dialect_or_refused_as_the_caller_s_mistake(
    fields: dict[str, Any], messages: list[Any]
) -> None:
    try:
        asked = arrived({**BASE, **fields, "messages": messages})
        for dialect in ("anthropic", "openai"):
            said(changed(asked), dialect)
    except InvalidRequest:
        return
