"""A chat is asked of Bedrock in its own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.call import Operation
from gateway.core.deployment import Deployment, Provider, Signing
from gateway.core.errors import InvalidRequest
from gateway.core.secret import Secret
from gateway.upstream.dialects.bedrock.dialect import Bedrock
from gateway.upstream.dialects.dialect import Outgoing
from tests.upstream.gemini.test_request import PNG, TOOL, WEATHER, call, user
from tests.upstream.translating import chat

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWER = "us.anthropic.claude-opus-4-6-v1"
ADAPTIVE: dict[str, Any] = {"thinking": {"type": "adaptive"}}
NOVA = "amazon.nova-2-lite-v1:0"
TEXT = {"type": "text", "text": "Look"}
SPEC = {"toolSpec": {"name": "weather", "description": "Tells it", "inputSchema": {"json": WEATHER}}}
EMPTY = {"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}}}


def asked(
    *, model: str = CLAUDE, cap: int | None = None, operation: Operation = Operation.CHAT, **fields: Any
) -> Outgoing:
    deployment = Deployment("b/m", Provider("b", "bedrock"), model, price=None)
    return Bedrock().request(chat(operation, **fields), deployment, cap, now=0.0)


def body(**fields: Any) -> Any:
    return json.loads(asked(**fields).body)


def turns(*messages: dict[str, Any], **more: Any) -> Any:
    return body(messages=list(messages), **more)["messages"]


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        (CLAUDE, False, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"),
        (CLAUDE, True, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/x",
            False,
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse",
        ),
    ],
)
def test_where_it_is_asked(model: str, stream: bool, path: str) -> None:
    assert asked(model=model, stream=stream).path == path


@pytest.mark.parametrize("model", [".", ".."])
def test_a_model_s_name_does_not_lead_elsewhere(model: str) -> None:
    with pytest.raises(InvalidRequest):
        asked(model=model)


def test_a_call_is_signed_where_the_policy_has_an_access_key() -> None:
    signing = Signing("us-east-1", "AKIDEXAMPLE", Secret("s"), Secret("t"))
    provider = Provider("b", "bedrock", host="localhost", port=8000, tls=False, path="/aws", signing=signing)

    outgoing = Bedrock().request(chat(), Deployment("b/m", provider, CLAUDE, price=None), None, now=0.0)

    assert [name for name, _ in outgoing.headers] == ["x-amz-date", "x-amz-security-token", "authorization"]
    assert asked().headers == ()


def test_turns_alternate() -> None:
    said = [("system", "S"), ("user", "a"), ("user", "b"), ("assistant", "c"), ("assistant", " "), ("user", "e")]

    told = body(messages=[{"role": role, "content": text} for role, text in said])

    assert told == {
        "messages": [
            {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
            {"role": "assistant", "content": [{"text": "c"}]},
            {"role": "user", "content": [{"text": "e"}]},
        ],
        "system": [{"text": "S"}],
    }


def test_a_system_prompt_alone_is_asked() -> None:
    assert turns({"role": "system", "content": "Say hi."}) == [{"role": "user", "content": [{"text": "Say hi."}]}]


def test_a_tool_loop() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    told = body(
        messages=[
            user(TEXT),
            {"role": "assistant", "tool_calls": [call("1", "a", '{"n": 1.50}'), call("x" * 65, "a", "")]},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "ok"}, image]},
            {"role": "tool", "tool_call_id": "x" * 65, "content": "no", "is_error": True},
            {"role": "user", "content": "Go on"},
        ]
    )

    fitting = told["messages"][1]["content"][1]["toolUse"]["toolUseId"]
    assert len(fitting) <= 64
    shown = {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert told["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"toolUse": {"toolUseId": "1", "name": "a", "input": {"n": 1.5}}},
                {"toolUse": {"toolUseId": fitting, "name": "a", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "1", "content": [{"text": "ok"}, shown]}},
                {"toolResult": {"toolUseId": fitting, "content": [{"text": "no"}], "status": "error"}},
                {"text": "Go on"},
            ],
        },
    ]
    assert told["toolConfig"] == {"tools": [EMPTY]}  # a conversation with calls in it needs their tools


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "sig"}
HIDDEN = {"type": "redacted_thinking", "data": "UkVE"}


def test_signed_thinking_goes_back_to_a_model_that_reads_it() -> None:
    message = {"role": "assistant", "content": "x", "thinking_blocks": [THOUGHT, HIDDEN], "reasoning_content": "hm"}

    outgoing = asked(messages=[user(TEXT), message])

    assert json.loads(outgoing.body)["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "UkVE"}},
        {"text": "x"},
    ]
    assert outgoing.dropped == ()


def test_thinking_of_others_is_told_as_lost() -> None:
    message = {"role": "assistant", "content": "x", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}

    assert asked(messages=[user(TEXT), message]).dropped[0] == "messages[1].thinking_blocks[0]"
    assert asked(messages=[user(TEXT), message], model=NOVA).dropped == ("messages[1].thinking_blocks",)


def part(kind: str, form: str, content: str) -> dict[str, Any]:
    return {kind: {"format": form, "source": {"bytes": content}}}


PARTS = [
    ({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{PNG}"}}, part("image", "jpeg", PNG)),
    (
        {"type": "image_url", "image_url": {"url": "s3://b/a.webp"}},
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://b/a.webp"}}}},
    ),
    ({"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{PNG}"}}, part("video", "mp4", PNG)),
    ({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}, part("audio", "wav", PNG)),
    ({"type": "file", "file": {"file_data": f"data:image/png;base64,{PNG}"}}, part("image", "png", PNG)),
]


@pytest.mark.parametrize(("given", "expected"), PARTS)
def test_parts(given: dict[str, Any], expected: dict[str, Any]) -> None:
    outgoing = asked(messages=[user(TEXT, given)])

    assert json.loads(outgoing.body)["messages"][0]["content"][1] == expected
    assert outgoing.dropped == ()


def test_documents_have_names_that_bedrock_allows_all_different() -> None:
    names = ["Report: v1.2.pdf", "Report v1.2.pdf", "ä.pdf", None]
    files = [{"file_data": f"data:application/pdf;base64,{PNG}", "filename": name} for name in names]

    told = turns(user(TEXT, *({"type": "file", "file": file} for file in files)))

    documents = [block["document"] for block in told[0]["content"][1:]]
    assert [each["name"] for each in documents] == ["Report v1 2", "Report v1 2 2", "document", "document 2"]
    assert documents[0] == {"format": "pdf", "source": {"bytes": PNG}, "name": "Report v1 2"}


@pytest.mark.parametrize(
    "given",
    [
        {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/bmp;base64,{PNG}"}},
        {"type": "input_audio", "input_audio": {"data": PNG, "format": "midi"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
def test_what_bedrock_could_not_read_is_refused_and_not_left_out(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        asked(messages=[user(TEXT, given)])

    assert raised.value.param == f"messages[0].content[1].{given['type']}"


def test_marks_for_the_prompt_cache_become_cache_points() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    outgoing = asked(
        messages=[{"role": "system", "content": [{**TEXT, **hour}]}, {**user({**TEXT, **mark}, TEXT), **mark}],
        tools=[{**TOOL, **mark}],
    )

    point = {"cachePoint": {"type": "default"}}
    told = json.loads(outgoing.body)
    assert told["system"] == [{"text": "Look"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert told["messages"][0]["content"] == [{"text": "Look"}, point, {"text": "Look"}, point]
    assert told["toolConfig"] == {"tools": [SPEC, point]}
    assert outgoing.dropped == ()


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"tools": [SPEC]}),
        ("none", None),
        ("required", {"tools": [SPEC], "toolChoice": {"any": {}}}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"tools": [SPEC], "toolChoice": {"tool": {"name": "weather"}}},
        ),
    ],
)
def test_tools(choice: Any, expected: Any) -> None:
    outgoing = asked(tools=[TOOL], tool_choice=choice)

    assert json.loads(outgoing.body).get("toolConfig") == expected
    assert outgoing.dropped == ()


def test_tools_that_were_called_stay_though_none_may_be_called() -> None:
    called = {"role": "assistant", "tool_calls": [call("1", "weather", "{}")]}
    result = {"role": "tool", "tool_call_id": "1", "content": "sunny"}

    outgoing = asked(messages=[user(TEXT), called, result], tools=[TOOL], tool_choice="none")

    assert json.loads(outgoing.body)["toolConfig"] == {"tools": [SPEC]}
    assert outgoing.dropped == ("tool_choice",)


def test_structured_output() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "description": "d", "schema": WEATHER, "strict": True}}

    outgoing = asked(response_format=form)

    told = json.loads(outgoing.body)["outputConfig"]["textFormat"]
    schema = told["structure"]["jsonSchema"]
    assert json.loads(schema.pop("schema")) == WEATHER
    assert told == {"type": "json_schema", "structure": {"jsonSchema": {"name": "x", "description": "d"}}}
    assert outgoing.dropped == ()


def test_inference() -> None:
    told = body(max_tokens=100, temperature=0.5, top_p=0.9, stop="END", metadata={"team": "search-1"}, cap=50)

    assert told["inferenceConfig"] == {"maxTokens": 50, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    assert told["requestMetadata"] == {"team": "search-1"}


def thinks(budget: int) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


REASONING: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    (CLAUDE, {"reasoning_effort": "low"}, thinks(1024), ()),
    (CLAUDE, {"reasoning_effort": "high", "max_tokens": 2000}, thinks(1999), ()),
    (CLAUDE, {"reasoning_effort": "high", "max_tokens": 1024}, {}, ("reasoning_effort",)),
    (CLAUDE, {"reasoning_effort": "none"}, {}, ()),
    (CLAUDE, thinks(5000), thinks(5000), ()),
    (CLAUDE, {**thinks(5000), "cap": 3000}, thinks(2999), ()),
    (CLAUDE, {**thinks(5000), "cap": 1000}, {}, ("thinking",)),
    (CLAUDE, {"thinking": {"type": "adaptive"}}, thinks(16384), ()),  # which it would refuse
    (CLAUDE, {"thinking": {"type": "adaptive"}, "reasoning_effort": "low"}, thinks(1024), ()),
    (NEWER, {"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}}, ()),
    (NEWER, {"reasoning_effort": "high"}, {**ADAPTIVE, "output_config": {"effort": "high"}}, ()),
    (NEWER, {**ADAPTIVE, "reasoning_effort": "minimal"}, {**ADAPTIVE, "output_config": {"effort": "low"}}, ()),
    (NEWER, {"reasoning_effort": "unheard-of"}, {}, ("reasoning_effort",)),
    (CLAUDE, {**thinks(5000), "tools": [TOOL], "tool_choice": "required"}, {}, ("thinking",)),
    (CLAUDE, {**thinks(5000), "temperature": 0.2}, thinks(5000), ("temperature",)),
    (CLAUDE, {**thinks(5000), "temperature": 1, "top_k": 4}, thinks(5000), ("top_k",)),
    (CLAUDE, {"top_k": 4}, {"top_k": 4}, ()),
    (NOVA, {"reasoning_effort": "high"}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}, ()),
    (NOVA, {"top_k": 4}, {"inferenceConfig": {"topK": 4}}, ()),
    (NOVA, thinks(5000), {}, ("thinking",)),
    ("openai.gpt-oss-120b-1:0", {"reasoning_effort": "medium"}, {"reasoning_effort": "medium"}, ()),
    ("meta.llama4-scout-17b-instruct-v1:0", {"reasoning_effort": "low", "top_k": 4}, {}, ("reasoning_effort", "top_k")),
]


@pytest.mark.parametrize(("model", "fields", "further", "dropped"), REASONING)
def test_reasoning(model: str, fields: dict[str, Any], further: dict[str, Any], dropped: tuple[str, ...]) -> None:
    outgoing = asked(model=model, **fields)

    assert json.loads(outgoing.body).get("additionalModelRequestFields", {}) == further
    assert outgoing.dropped == dropped


@pytest.mark.parametrize(("blocks", "expected"), [([THOUGHT], thinks(1024)), ([], None)])
def test_a_tool_loop_that_began_without_thinking_goes_on_without(blocks: list[Any], expected: Any) -> None:
    called = {"role": "assistant", "tool_calls": [call("1", "weather", "{}")], "thinking_blocks": blocks}
    result = {"role": "tool", "tool_call_id": "1", "content": "sunny"}

    outgoing = asked(messages=[user(TEXT), called, result], tools=[TOOL], reasoning_effort="low")

    assert json.loads(outgoing.body).get("additionalModelRequestFields") == expected
    assert outgoing.dropped == (() if expected else ("reasoning_effort",))


@pytest.mark.parametrize("operation", [Operation.COMPLETION, Operation.EMBEDDINGS])
def test_converse_is_for_chats(operation: Operation) -> None:
    with pytest.raises(InvalidRequest, match="answers chats"):
        asked(operation=operation)
