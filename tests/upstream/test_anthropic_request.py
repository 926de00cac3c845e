"""A chat is said in Anthropic's words, and a client that speaks them already is passed on byte for byte."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.deployment import MAX_OUTPUT, Abilities, Deployment, Provider
from gateway.core.errors import InvalidRequest
from gateway.core.secret import Secret
from gateway.upstream.dialects.anthropic.dialect import Anthropic
from gateway.upstream.dialects.dialect import Outgoing

HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def call(
    *, native: bytes | None = None, dialect: str = "openai", headers: dict[bytes, bytes] | None = None, **fields: Any
) -> Call:
    body = {"model": "claude", "messages": HI, **fields}
    return Call(
        id="r",
        operation=Operation.CHAT,
        received=0.0,
        model="claude",
        body=json.dumps(body).encode(),
        fields=body,
        stream=body.get("stream") is True,
        dialect=dialect,
        native=native,
        headers=headers or {},
    )


def deployment(model: str = "claude-sonnet-4-5", *, abilities: Abilities | None = None, **provider: Any) -> Deployment:
    made = Provider("anthropic", "anthropic", **provider)
    return Deployment("anthropic/m", made, model, None, abilities=abilities or Abilities())


def sent(asked: Call, target: Deployment | None = None, *, cap: int | None = None) -> Outgoing:
    return Anthropic().request(asked, target or deployment(), cap, now=0.0)


def said(model: str = "claude-sonnet-4-5", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The request without what each has, and what was dropped."""
    outgoing = sent(call(**fields), deployment(model))
    body = json.loads(outgoing.body)
    assert body.pop("model") == model
    return body, outgoing.dropped


def turns(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    body, dropped = said(messages=list(messages))
    assert dropped == ()
    system = [{"role": "system", "content": body["system"]}] if "system" in body else []
    return [*system, *body["messages"]]


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def test_a_question() -> None:
    outgoing = sent(call(stream=True))

    assert outgoing.path == "/v1/messages"
    assert outgoing.headers == (("anthropic-version", "2023-06-01"),)
    assert json.loads(outgoing.body) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": MAX_OUTPUT,
        "messages": [{"role": "user", "content": [text("Hi")]}],
        "stream": True,
    }


def test_the_output_cap_is_the_budget_s_the_client_s_or_the_most_that_the_model_can_write() -> None:
    able = deployment(abilities=Abilities(prompt=200_000, context=264_000))

    assert json.loads(sent(call(max_tokens=7), able, cap=5).body)["max_tokens"] == 5
    assert json.loads(sent(call(max_completion_tokens=7), able).body)["max_tokens"] == 7
    assert json.loads(sent(call(), able).body)["max_tokens"] == 64_000


def test_the_system_prompt_stands_apart_and_what_is_said_later_stays_in_its_place() -> None:
    assert turns(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [text("In German.", cache_control={"type": "ephemeral"})]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hallo"},
        {"role": "system", "content": "It is late."},
        {"role": "user", "content": "So?"},
    ) == [
        {"role": "system", "content": [text("Be brief."), text("In German.", cache_control={"type": "ephemeral"})]},
        {"role": "user", "content": [text("Hi")]},
        {"role": "assistant", "content": [text("Hallo")]},
        {"role": "user", "content": [text("<system>\nIt is late.\n</system>"), text("So?")]},
    ]


def test_where_only_the_application_speaks_it_asks() -> None:
    assert turns({"role": "system", "content": "Say hello"}) == [{"role": "user", "content": [text("Say hello")]}]


def test_a_tool_loop_with_parallel_results_is_two_turns_and_results_come_first() -> None:
    calls = [
        {"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}}
        for id, arguments in (("call_1", '{"city":"Bern"}'), ("functions.weather:1", ""))
    ]
    body, _ = said(
        messages=[
            *HI,
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain", "is_error": True},
            {"role": "tool", "tool_call_id": "functions.weather:1", "content": [text("sun")]},
            {"role": "user", "content": "and?"},
        ],
    )

    uses, results = body["messages"][1]["content"], body["messages"][2]["content"]
    assert [(use["type"], use["name"], use["input"]) for use in uses] == [
        ("tool_use", "weather", {"city": "Bern"}),
        ("tool_use", "weather", {}),
    ]
    assert uses[0]["id"] == "call_1"
    assert uses[1]["id"].startswith("functions_weather_1_")
    assert results == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "rain", "is_error": True},
        {"type": "tool_result", "tool_use_id": uses[1]["id"], "content": [text("sun")]},
        text("and?"),
    ]


def test_ids_that_anthropic_refuses_stay_different() -> None:
    ids = ["a:b", "a.b", "a b", "é", "x" * 100 + ":"]
    calls = [{"id": id, "type": "function", "function": {"name": "f", "arguments": "not json"}} for id in ids]
    results = [{"role": "tool", "tool_call_id": id, "content": ""} for id in ids]

    body, _ = said(messages=[*HI, {"role": "assistant", "content": None, "tool_calls": calls}, *results])

    uses, answers = body["messages"][1]["content"], body["messages"][2]["content"]
    assert len({use["id"] for use in uses}) == len(ids)
    assert all(use["id"].replace("_", "").replace("-", "").isalnum() and use["id"].isascii() for use in uses)
    assert [answer["tool_use_id"] for answer in answers] == [use["id"] for use in uses]
    assert uses[0]["input"] == {"arguments": "not json"}


PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": PNG}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "auto"}},
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        ),
        (
            {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                "title": "a.pdf",
            },
        ),
        (
            {
                "type": "file",
                "file": {"file_data": "data:text/plain;base64," + base64.b64encode("né".encode()).decode()},
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "né"}},
        ),
        (
            {"type": "file", "file": {"file_id": "file_1"}, "cache_control": {"type": "ephemeral"}},
            {
                "type": "document",
                "source": {"type": "file", "file_id": "file_1"},
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            {"type": "file", "file": {"file_url": "https://x.example/a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        ),
    ],
)
def test_images_and_files(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert turns({"role": "user", "content": [part]}) == [{"role": "user", "content": [block]}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "data:x,y"}}]}]},
            "messages[0].content[0].file",
        ),
    ],
)
def test_what_would_be_answered_wrongly_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        said(**fields)

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)


def test_signed_thinking_goes_back_first_and_what_is_not_signed_stays_away() -> None:
    signed = [{"type": "thinking", "thinking": "Hm", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]
    answer = {"role": "assistant", "content": "Hallo", "reasoning_content": "Hm"}
    body, dropped = said(messages=[*HI, {**answer, "thinking_blocks": signed}, *HI, answer, *HI])

    assert body["messages"][1]["content"] == [*signed, text("Hallo")]
    assert body["messages"][3]["content"] == [text("Hallo")]
    assert dropped == ("messages[3].reasoning_content",)


@pytest.mark.parametrize(
    ("model", "fields", "made", "dropped"),
    [
        ("claude-sonnet-4-5", {"temperature": 0.5, "top_p": 0.9, "top_k": 5}, ["temperature", "top_p", "top_k"], ()),
        ("claude-sonnet-4-5-20250929", {"temperature": 1.5}, {"temperature": 1}, ("temperature",)),
        ("claude-opus-4-7", {"temperature": 0, "top_p": 1, "top_k": 5}, {}, ("temperature", "top_p", "top_k")),
        ("kimi-k2", {"temperature": 0.5}, ["temperature"], ()),
        (
            "claude-sonnet-4-5",
            {"reasoning_effort": "high", "max_tokens": 64_000, "temperature": 0},
            {"thinking": {"type": "enabled", "budget_tokens": 16_384}},
            ("temperature",),
        ),
        (
            "claude-sonnet-4-5",
            {"reasoning_effort": "medium", "max_tokens": 4000},
            {"thinking": {"type": "enabled", "budget_tokens": 2976}},
            (),
        ),
        ("claude-sonnet-4-5", {"reasoning_effort": "medium", "max_tokens": 1500}, {}, ("reasoning_effort",)),
        (
            "claude-opus-5-5",
            {"reasoning_effort": "minimal"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            (),
        ),
        (
            "claude-opus-5-5",
            {"reasoning_effort": "high", "tool_choice": "required", "tools": [WEATHER]},
            {
                "output_config": {"effort": "high"},
                "tool_choice": {"type": "any"},
                "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}],
            },
            ("reasoning_effort",),
        ),
        ("claude-3-5-haiku-latest", {"reasoning_effort": "low"}, {}, ("reasoning_effort",)),
        ("claude-opus-4-6", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, ()),
        (
            "claude-opus-4-6",
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            ["thinking"],
            (),
        ),
        ("claude-opus-4-6", {"stop": "END"}, {"stop_sequences": ["END"]}, ()),
        ("claude-opus-4-6", {"stop": ["END", "\n"]}, {"stop_sequences": ["END"]}, ("stop",)),
        ("claude-opus-4-6", {"user": "u"}, {"metadata": {"user_id": "u"}}, ()),
        ("claude-opus-4-6", {"safety_identifier": "u"}, {"metadata": {"user_id": "u"}}, ()),
        ("claude-opus-4-6", {"service_tier": "auto"}, ["service_tier"], ()),
        ("claude-opus-4-6", {"service_tier": "flex"}, {}, ("service_tier",)),
        ("claude-opus-4-6", {"seed": 1, "logprobs": True, "logit_bias": None}, {}, ("seed", "logprobs")),
        ("claude-opus-4-6", {"cache_control": {"type": "ephemeral"}}, ["cache_control"], ()),
        ("claude-opus-4-6", {"response_format": {"type": "text"}}, {}, ()),
        ("claude-opus-4-6", {"response_format": {"type": "json_object"}}, {}, ("response_format",)),
        ("claude-opus-4-6", {"parallel_tool_calls": False}, {}, ()),
        (
            "claude-opus-4-6",
            {"parallel_tool_calls": False, "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            {
                "tools": [{"type": "web_search_20250305", "name": "web_search"}],
                "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            },
            (),
        ),
        (
            "claude-opus-4-6",
            {
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "description": "d", "strict": True},
                        "cache_control": {"type": "ephemeral"},
                    },
                    {"type": "custom", "custom": {"name": "g"}},
                ],
            },
            {
                "tools": [
                    {
                        "name": "f",
                        "description": "d",
                        "input_schema": {"type": "object", "properties": {}},
                        "strict": True,
                        "cache_control": {"type": "ephemeral"},
                    }
                ],
                "tool_choice": {"type": "tool", "name": "f"},
            },
            ("tools[1]",),
        ),
    ],
)
def test_parameters(
    model: str, fields: dict[str, Any], made: dict[str, Any] | list[str], dropped: tuple[str, ...]
) -> None:
    body, lost = said(model, **fields)

    for name in ("max_tokens", "messages"):
        del body[name]
    assert body == (made if isinstance(made, dict) else {name: fields[name] for name in made})
    assert lost == dropped


def test_structured_output_closes_objects_and_tells_the_bounds_that_it_does_not_know() -> None:
    schema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "In years"},
            "minimum": {"enum": ["minimum"]},
            "pets": {"type": "array", "items": {"type": "object", "properties": {}}, "maxItems": 3},
        },
        "required": ["age"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}}

    body, dropped = said(response_format=form)

    assert dropped == ()
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "title": "person",
            "type": "object",
            "properties": {
                "age": {"type": "integer", "description": "In years\n\n{minimum: 0}"},
                "minimum": {"enum": ["minimum"]},
                "pets": {
                    "type": "array",
                    "items": {"type": "object", "properties": {}, "additionalProperties": False},
                    "description": "{maxItems: 3}",
                },
            },
            "required": ["age"],
            "additionalProperties": False,
        },
    }


def test_thinking_does_not_begin_in_the_midst_of_a_tool_loop() -> None:
    use = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    loop = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [use]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]

    body, dropped = said(messages=loop, reasoning_effort="high", max_tokens=30_000)

    assert "thinking" not in body
    assert dropped == ("reasoning_effort",)


NATIVE = (
    b'{"model": "claude","max_tokens":100 ,"messages":[{"role":"user","content":"\\u00fc"}],"betas":[1.50], "llmgw":{}}'
)


def test_a_client_of_the_same_dialect_is_passed_on_byte_for_byte() -> None:
    native = NATIVE.replace(b', "llmgw":{}', b"")
    same = call(native=native, dialect="anthropic", max_tokens=100)

    assert sent(same, deployment("claude")) == Outgoing("/v1/messages", native, (("anthropic-version", "2023-06-01"),))
    assert sent(same, deployment("claude"), cap=100).body == native


def test_only_the_model_and_the_cap_are_changed_in_what_is_passed_on() -> None:
    asked = call(native=NATIVE, dialect="anthropic", max_tokens=100, llmgw={})

    assert sent(asked, cap=50).body == (
        b'{"model":"claude-sonnet-4-5","max_tokens":50,"messages":[{"role":"user","content":"\\u00fc"}],"betas":[1.50]}'
    )


def test_versions_and_betas_of_the_client_are_passed_on_and_the_policy_s_go_before_them() -> None:
    headers = {b"anthropic-version": b"2024-01-01", b"anthropic-beta": b"a-2025, b-2026", b"x-api-key": b"sk"}
    asked = call(native=NATIVE, dialect="anthropic", headers=headers)
    fixed = deployment(headers=(("anthropic-version", Secret("2023-01-01")),))

    assert sent(asked).headers == (("anthropic-version", "2024-01-01"), ("anthropic-beta", "a-2025, b-2026"))
    assert sent(asked, fixed).headers == (("anthropic-beta", "a-2025, b-2026"),)
    assert sent(call(headers=headers)).headers == (
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "a-2025, b-2026"),
    )
    assert sent(call(headers={b"anthropic-beta": b"a\x01b"})).headers == (("anthropic-version", "2023-06-01"),)


def test_a_client_s_own_words_that_chat_has_none_for_reach_a_provider_of_its_dialect() -> None:
    blocks = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, text("x")]
    answer = {"role": "assistant", "content": "x", "anthropic_content": blocks}

    outgoing = sent(call(dialect="anthropic", messages=[*HI, answer, *HI], mcp_servers=[{"url": "u"}]))

    assert outgoing.dropped == ()
    assert json.loads(outgoing.body)["mcp_servers"] == [{"url": "u"}]
    assert json.loads(outgoing.body)["messages"][1]["content"] == blocks
