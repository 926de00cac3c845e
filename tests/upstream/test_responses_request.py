"""Requests for responses: a client's own with few splices, a chat's with every field forwarded, mapped or named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import completion_create_params

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import InvalidRequest
from gateway.core.money import FREE
from gateway.upstream.dialects.responses.dialect import Responses
from gateway.upstream.dialects.responses.request import FORWARDED
from gateway.upstream.dialects.responses.thinking import sealed, unsealed

THERE = Deployment(name="r/gpt-5", provider=Provider("r", "responses"), upstream_model="gpt-5", price=FREE)
HI: Any = [{"role": "user", "content": "hi"}]
SAMPLES: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"5": 1},
    "logprobs": True,
    "max_completion_tokens": 16,
    "max_tokens": 16,
    "metadata": {"a": "b"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "omni"},
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "a"},
    "presence_penalty": 0.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
    "safety_identifier": "u",
    "seed": 5,
    "service_tier": "flex",
    "stop": ["a"],
    "store": True,
    "stream": True,
    "temperature": 0.5,
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_logprobs": 2,
    "top_p": 0.5,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {},
}
"""A value that says something, for each field of the SDK's own schema."""


def call(**fields: Any) -> Call:
    said = {"model": "m", "messages": HI, **fields}
    return Call(id="r", operation=Operation.CHAT, received=0.0, model="m", body=json.dumps(said).encode(), fields=said)


def native(body: bytes) -> Call:
    own = call()
    own.dialect, own.native = "responses", body
    return own


def sent(asked: Call, cap: int | None = None) -> Any:
    return json.loads(Responses().request(asked, THERE, cap, now=0).body)


def spliced(body: bytes, cap: int | None = None) -> bytes:
    return Responses().request(native(body), THERE, cap, now=0).body


def test_the_samples_are_the_sdk_s_schema() -> None:
    base = completion_create_params.CompletionCreateParamsBase.__annotations__
    schema = {*base, *completion_create_params.CompletionCreateParamsStreaming.__annotations__}

    assert {*SAMPLES, "messages", "model", "n", "stream_options"} == schema


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_no_field_of_a_chat_is_lost_in_silence(name: str) -> None:
    with_it = Responses().request(call(**{name: SAMPLES[name]}), THERE, None, now=0)
    without = Responses().request(call(), THERE, None, now=0)

    assert (with_it.body != without.body) + (name in with_it.dropped) == 1
    if name in FORWARDED:
        assert json.loads(with_it.body)[name] == SAMPLES[name]


def test_several_choices_are_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent(call(n=2))

    assert refused.value.param == "n"


def test_other_operations_go_to_their_own_paths() -> None:
    asked = Call(
        id="r", operation=Operation.EMBEDDINGS, received=0.0, model="m", body=b'{"model":"m","input":"a"}', fields={}
    )

    assert Responses().request(asked, THERE, None, now=0).path == "/embeddings"
    assert Responses().translation(asked) is None


def test_a_conversation_becomes_items() -> None:
    told = Responses().request(
        call(
            messages=[
                {"role": "developer", "content": "Rules.", "name": "boss"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                        {"type": "file", "file": {"file_id": "file-1"}},
                        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": "Let me see.",
                    "reasoning_items": [
                        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
                        {"type": "reasoning", "id": "rs_2", "summary": []},
                    ],
                    "thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": "b"}],
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                        {"id": "b", "type": "custom", "custom": {"name": "c", "input": "x"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "a", "content": "one", "is_error": True},
                {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "two"}]},
                {"role": "assistant", "content": None, "refusal": "No."},
            ]
        ),
        THERE,
        None,
        now=0,
    )

    body = json.loads(told.body)
    assert body["input"] == [
        {"type": "message", "role": "developer", "content": "Rules."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
                {"type": "input_file", "file_id": "file-1"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "c", "input": "x"},
        {"type": "function_call_output", "call_id": "a", "output": "one"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "two"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]
    assert body["include"] == ["reasoning.encrypted_content"]
    assert told.dropped == (
        "messages[0].name",
        "messages[1].content[0].cache_control",
        "messages[1].content[3]",
        "messages[2].thinking_blocks",
        "messages[2].reasoning_items[1]",
        "messages[3].is_error",
    )


def test_tools_and_choices() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
    tools = [
        {"type": "custom", "custom": {"name": "c", "format": grammar}},
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}},
        {"type": "web_search"},
    ]

    told = sent(call(tools=tools, tool_choice={"type": "custom", "custom": {"name": "c"}}))

    assert told["tools"] == [
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}},
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
        {"type": "web_search"},
    ]
    assert told["tool_choice"] == {"type": "custom", "name": "c"}


def test_a_client_s_own_request_is_spliced() -> None:
    body = b'{"model": "m", "input":  [ {"role":"user","content":"h\\u00e9"} ], "x": 1.50, "stream":true, "llmgw": {}}'

    assert spliced(body) == (
        b'{"model":"gpt-5","input":[ {"role":"user","content":"h\\u00e9"} ],"x":1.50,"stream":true,"store":false}'
    )
    assert b'"max_output_tokens":7' in spliced(b'{"model":"m","input":"a","max_output_tokens":9}', cap=7)
    assert json.loads(spliced(b'{"model":"m","input":"a","store":true}'))["store"] is False


@pytest.mark.parametrize(
    ("sent", "include"),
    [
        ({}, None),
        ({"reasoning": None}, None),
        ({"reasoning": {"effort": "low"}}, ["reasoning.encrypted_content"]),
        ({"reasoning": {}, "include": ["a"]}, ["a", "reasoning.encrypted_content"]),
        ({"reasoning": {}, "include": ["reasoning.encrypted_content"]}, ["reasoning.encrypted_content"]),
        ({"include": ["a"]}, ["a"]),
    ],
)
def test_reasoning_is_asked_for_sealed_where_there_is_any(sent: dict[str, Any], include: list[str] | None) -> None:
    body = json.dumps({"model": "m", "input": "a", **sent}).encode()

    assert json.loads(spliced(body)).get("include") == include


def test_what_the_provider_would_refuse_is_left_out_of_an_input() -> None:
    kept = b'{"type": "reasoning", "id":"rs_1","summary":[],"encrypted_content":"gAAA"}'
    theirs = json.dumps(
        {"type": "reasoning", "id": "rs_2", "encrypted_content": sealed([{"type": "thinking"}])}
    ).encode()
    bare = b'{"type":"reasoning","id":"rs_3","summary":[]}'
    marked = b'{"type":"function_call","call_id":"a","extra_content":{"google":{}}}'
    plain = b'{"role": "user","content":"the word \\"reasoning\\""}'

    told = spliced(b'{"model":"m","input":[%b]}' % b",".join([kept, theirs, bare, marked, plain]))

    assert b'"input":[%b,{"type":"function_call","call_id":"a"},%b]' % (kept, plain) in told


def test_thinking_is_carried_as_it_came() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Grüße", "signature": "abc=="},
        {"type": "redacted_thinking", "data": "x"},
    ]

    assert unsealed(sealed(blocks)) == blocks
    assert [unsealed(text) for text in (None, "gAAAA", sealed(blocks)[:-3], "llmgw.thinking_blocks:e30=")] == [None] * 4
