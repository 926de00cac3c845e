"""Every member of a chat is forwarded, mapped or named, by each dialect that is not chat's own: never none of the three."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import InvalidRequest
from gateway.upstream.dialects import DIALECTS
from tests.upstream.translating import chat

SPEAKERS = [
    ("gemini", "gemini-2.5-flash"),
    ("gemini", "gemini-3-pro-preview"),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("bedrock", "amazon.nova-2-lite-v1:0"),
    ("bedrock", "openai.gpt-oss-120b-1:0"),
    ("bedrock", "meta.llama4-scout-17b-instruct-v1:0"),
]
OURS = {"model", "messages", "stream", "stream_options", "llmgw"}
"""What the gateway acts on by itself."""
SAYS_NOTHING: dict[str, list[Any]] = {
    "n": [1],
    "logprobs": [False],
    "top_logprobs": [0],
    "store": [False],
    "parallel_tool_calls": [True],
    "service_tier": ["auto", "default"],
    "tool_choice": ["auto", "none"],
    "response_format": [{"type": "text"}],
    "modalities": [["text"]],
    "reasoning_effort": ["none"],
    "stop": [""],
    "safety_settings": [[]],
}
"""What is so anyway."""
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
FIELDS: dict[str, list[Any]] = {
    "temperature": [0.5],
    "top_p": [0.5],
    "top_k": [5],
    "max_tokens": [50, 2000],
    "n": [1, 2],
    "stop": ["x", ["a", "b"], ""],
    "seed": [5],
    "presence_penalty": [0.5],
    "frequency_penalty": [0.5],
    "logit_bias": [{"1": 5}],
    "logprobs": [True, False],
    "top_logprobs": [0, 2],
    "user": ["u"],
    "safety_identifier": ["u"],
    "prompt_cache_key": ["k"],
    "prompt_cache_retention": ["24h"],
    "metadata": [{"a": "b"}, {"a": "é"}, {"a": 1}],
    "store": [True, False],
    "service_tier": ["auto", "flex", "default"],
    "modalities": [["text"], ["text", "audio"], ["text", "image"]],
    "audio": [{"voice": "alloy", "format": "wav"}],
    "prediction": [{"type": "content", "content": "x"}],
    "reasoning_effort": ["none", "minimal", "low", "medium", "high", "odd"],
    "thinking": [{"type": "enabled", "budget_tokens": 1500}, {"type": "disabled"}, {"type": "adaptive", "x": 1}],
    "verbosity": ["low"],
    "web_search_options": [{"search_context_size": "low"}],
    "response_format": [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "grammar"},
        {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
    ],
    "tools": [[FUNCTION], [{"type": "web_search"}], [FUNCTION, {"type": "custom", "custom": {"name": "c"}}]],
    "tool_choice": ["auto", "none", "required", "odd", {"type": "function", "function": {"name": "f"}}, {"type": "x"}],
    "parallel_tool_calls": [True, False],
    "functions": [[{"name": "f"}]],
    "function_call": ["auto", {"name": "f"}],
    "safety_settings": [[{"category": "c", "threshold": "t"}], []],
    "some_vendor_s": [1, "x", [1], {"a": 1}],
}
ODD = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.floats(0.25, 4, width=16) | st.text(min_size=1, max_size=3),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.text(max_size=3), inner, min_size=1, max_size=2)
    ),
    max_leaves=4,
)


def asked(speaker: tuple[str, str], fields: dict[str, Any]) -> tuple[bytes, tuple[str, ...]]:
    dialect, model = speaker
    deployment = Deployment("p/m", Provider("p", dialect), model, price=None)
    outgoing = DIALECTS[dialect].request(chat(**fields), deployment, None, now=0.0)
    return outgoing.body, outgoing.dropped


def named(path: str, dropped: tuple[str, ...]) -> bool:
    """Whether this path, a part of it or what it is part of is named."""
    return any(each.startswith(path) or path.startswith(each) for each in dropped)


def check(speaker: tuple[str, str], fields: dict[str, Any]) -> None:
    try:
        body, dropped = asked(speaker, fields)
    except InvalidRequest:
        return  # told, too
    for name, value in fields.items():
        if (
            name in OURS
            or value in SAYS_NOTHING.get(name, [])
            or (name == "tools" and fields.get("tool_choice") == "none")
        ):
            continue
        without, _ = asked(speaker, {other: each for other, each in fields.items() if other != name})
        assert without != body or named(name, dropped), (name, value, dropped)


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker[1])
@pytest.mark.parametrize("name", FIELDS)
def test_each_parameter_by_itself(speaker: tuple[str, str], name: str) -> None:
    for value in FIELDS[name]:
        check(speaker, {name: value})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(speaker=st.sampled_from(SPEAKERS), draw=st.data())
def test_parameters_together_also_of_types_that_they_should_not_have(
    speaker: tuple[str, str], draw: st.DataObject
) -> None:
    names = draw.draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=6))

    check(speaker, {name: draw.draw(st.sampled_from(FIELDS[name]) | ODD) for name in names})


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look"}, IMAGE]},
    {
        "role": "assistant",
        "content": "So",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": "done"},
]
PLACES: list[tuple[str, list[Any]]] = [
    ("messages[0].", ["messages", 0]),
    ("messages[1].", ["messages", 1]),
    ("messages[1].content[0].", ["messages", 1, "content", 0]),
    ("messages[1].content[1].", ["messages", 1, "content", 1]),
    ("messages[1].content[1].image_url.", ["messages", 1, "content", 1, "image_url"]),
    ("messages[2].", ["messages", 2]),
    ("messages[2].tool_calls[0].", ["messages", 2, "tool_calls", 0]),
    ("messages[2].tool_calls[0].function.", ["messages", 2, "tool_calls", 0, "function"]),
    ("messages[3].", ["messages", 3]),
    ("tools[0].", ["tools", 0]),
    ("tools[0].function.", ["tools", 0, "function"]),
]
MEMBERS: dict[str, Any] = {
    "name": "ann",
    "refusal": "No.",
    "audio": {"id": "a"},
    "annotations": [{"type": "url_citation"}],
    "reasoning_content": "hm",
    "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "odd"}],
    "reasoning_items": [{"type": "reasoning"}],
    "cache_control": {"type": "ephemeral"},
    "extra_content": {"google": {"thought_signature": "s", "x": 1}, "y": 2},
    "is_error": True,
    "detail": "high",
    "strict": True,
    "description": "d",
    "function_call": {"name": "f", "arguments": "{}"},
    "some_vendor_s": 5,
}
NOT_NEEDED = {
    ("tools[0].function.", "name"),
    ("messages[2].tool_calls[0].function.", "name"),
    ("messages[3].", "name"),  # whose result it is, the call's id says
}


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker[1])
@pytest.mark.parametrize(("path", "steps"), PLACES, ids=lambda place: place if isinstance(place, str) else "")
def test_each_member_of_messages_and_tools(speaker: tuple[str, str], path: str, steps: list[Any]) -> None:
    fields = {"messages": CONVERSATION, "tools": [FUNCTION]}
    body, usual = asked(speaker, fields)
    assert usual == ()

    for name, value in MEMBERS.items():
        changed = copy.deepcopy(fields)
        place: Any = changed
        for step in steps:
            place = place[step]
        place[name] = value
        other, dropped = asked(speaker, changed)
        assert (path, name) in NOT_NEEDED or other != body or named(path + name, dropped), name
