"""The demo provider answers as a real one does, and always the same."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.core.call import Call, Operation
from gateway.core.deployment import Provider
from gateway.core.errors import InvalidRequest
from gateway.ingress.openai import OpenAIArrival
from gateway.ingress.request import Request
from gateway.upstream.demo import Demo
from gateway.upstream.dialects import openai

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}
SEARCH: dict[str, Any] = {"type": "web_search"}


async def ask(path: str, **fields: Any) -> bytes:
    exchange = await Demo().acquire(Provider("demo", "demo"))
    body = json.dumps({"model": "demo", **fields}).encode()
    exchange.send(b"POST " + path.encode() + b" HTTP/1.1\r\nhost: x\r\n\r\n" + body)
    assert (await exchange.head()).status == 200
    answer = b""
    while piece := await exchange.read():
        answer += piece
    return answer


async def chat(**fields: Any) -> ChatCompletion:
    return ChatCompletion.model_validate_json(await ask("/chat/completions", **fields))


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def test_the_same_question_gets_the_same_answer() -> None:
    first = await ask("/chat/completions", messages=said("hi"))

    assert first == await ask("/chat/completions", messages=said("hi"))
    assert first != await ask("/chat/completions", messages=said("ho"))
    ChatCompletion.model_validate(json.loads(first), strict=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": said("one  two three")},
        {"messages": said("")},
        {"messages": said("Grüße ✓"), "n": 3},
        {"messages": said("a b c d e"), "max_tokens": 4},
        {"messages": said("hi"), "tools": [WEATHER], "tool_choice": "required"},
        {"messages": said("what weather?"), "tools": [SEARCH, WEATHER]},
        {"messages": said("hi"), "response_format": {"type": "json_object"}},
    ],
)
async def test_the_chunks_of_a_stream_add_up_to_the_whole_answer(fields: dict[str, Any]) -> None:
    whole = await chat(**fields)
    stream = await ask("/chat/completions", **fields, stream=True, stream_options={"include_usage": True})

    lines = [event[6:] for event in stream.split(b"\n\n") if event]
    chunks = [ChatCompletionChunk.model_validate_json(line) for line in lines[:-1]]
    texts = dict.fromkeys(range(len(whole.choices)), "")
    finished: dict[int, str | None] = {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] += choice.delta.content or ""
        for call in choice.delta.tool_calls or ():
            texts[choice.index] += (call.function and call.function.arguments) or ""
        finished[choice.index] = choice.finish_reason

    assert lines[-1] == b"[DONE]"
    for whole_choice in whole.choices:
        message = whole_choice.message
        text = message.content or ""
        for tool_call in message.tool_calls or ():
            assert tool_call.type == "function"
            text += tool_call.function.arguments
        assert texts[whole_choice.index] == text
        assert finished[whole_choice.index] == whole_choice.finish_reason
    assert chunks[-1].usage == whole.usage
    assert {chunk.id for chunk in chunks} == {whole.id}


async def test_an_answer_stops_at_its_cap() -> None:
    answer = await chat(messages=said("hi"), max_tokens=3)

    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("length", "This is the")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


async def test_a_required_tool_is_called_with_arguments_of_its_schema_and_not_again_after_its_result() -> None:
    fields = {"tools": [WEATHER], "tool_choice": "required"}
    answer = await chat(messages=said("hi"), **fields)

    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    call = calls[0]
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "demo", "days": 1}
    result = [
        {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    again = await chat(messages=[*said("hi"), *result], **fields)
    assert again.choices[0].finish_reason == "stop"


async def test_completions_and_embeddings_have_openai_s_shapes() -> None:
    text = Completion.model_validate_json(await ask("/completions", prompt="once upon"))
    floats = CreateEmbeddingResponse.model_validate_json(await ask("/embeddings", input="a b", dimensions=8))
    packed = json.loads(await ask("/embeddings", input="a b", dimensions=8, encoding_format="base64"))

    assert "once upon" in text.choices[0].text
    vector = floats.data[0].embedding
    assert math.isclose(sum(x * x for x in vector), 1, rel_tol=1e-6)
    assert struct.unpack("<8f", base64.b64decode(packed["data"][0]["embedding"])) == pytest.approx(vector)


async def test_texts_that_share_words_are_near_each_other() -> None:
    answer = CreateEmbeddingResponse.model_validate_json(
        await ask("/embeddings", input=["a red fox", "a red dog", "nothing in common"])
    )

    fox, dog, other = (each.embedding for each in answer.data)
    assert sum(x * y for x, y in zip(fox, dog, strict=True)) > sum(x * y for x, y in zip(fox, other, strict=True))


SCHEMAS = st.recursive(
    st.sampled_from(
        [
            {},
            {"type": "string"},
            {"type": ["integer", "null"]},
            {"type": []},
            {"enum": []},
            {"enum": ["a"]},
            {"enum": 7},
            {"const": None},
            {"type": "object", "properties": []},
            {"type": "array", "items": True},
            {"type": 5},
        ]
    ),
    lambda inner: (
        st.builds(lambda s: {"type": "object", "properties": {"a": s, "b": True}}, inner)
        | st.builds(lambda s: {"type": "array", "items": s}, inner)
    ),
    max_leaves=5,
)
CONTENTS = st.sampled_from(
    [
        "hi weather",
        [{"type": "text", "text": "hi"}],
        [{"type": "text", "text": None}],
        [{"type": "text"}, {"type": "image_url", "image_url": {"url": "https://x"}}],
    ]
)
TOOLS = st.lists(
    st.builds(lambda schema: {"type": "function", "function": {"name": "weather", "parameters": schema}}, SCHEMAS)
    | st.sampled_from([SEARCH, {"function": {"name": "bare"}}, {"type": "function", "function": {"name": "f"}}]),
    max_size=2,
)
BODIES = st.fixed_dictionaries(
    {"messages": st.builds(lambda content: [{"role": "user", "content": content}], CONTENTS)},
    optional={
        "tools": TOOLS | st.none(),
        "tool_choice": st.sampled_from(
            ["auto", "none", "required", None, {"type": "function", "function": {"name": "weather"}}, {"type": "x"}, 7]
        ),
        "response_format": st.builds(
            lambda schema: {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}, SCHEMAS
        )
        | st.sampled_from([{"type": "json_object"}, {"type": "text"}, {"type": "odd"}, None]),
        "n": st.sampled_from([1, 2, 2.0, None]),
        "max_tokens": st.sampled_from([1, 3, 1000.0, 2**31 - 1, None]),
        "stream": st.booleans() | st.none(),
        "seed": st.sampled_from([1, 2**70, -(2**70), 1e300]),
        "user": st.sampled_from(["me", None]),
    },
)


def accepted(operation: Operation, fields: dict[str, Any]) -> Call | None:
    request = Request(body=json.dumps({"model": "demo", **fields}).encode())
    try:
        return OpenAIArrival(request, operation=operation, id="r").read(strict=False)
    except InvalidRequest:
        return None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=BODIES)
async def test_whatever_ingress_accepts_is_answered(fields: dict[str, Any]) -> None:
    call = accepted(Operation.CHAT, fields)
    if call is None:
        return
    answer = await ask("/chat/completions", **fields)
    if not call.stream:
        openai.WholeAnswer(call, answer)
        return
    codec = openai.StreamedAnswer(call, injected=False)
    codec.feed(answer)
    assert codec.failure is None
    codec.end()


@given(
    fields=st.fixed_dictionaries(
        {"input": st.sampled_from(["a", ["a", "b"], [1, 2], [[1, 2], [3]], ["", " "], [None], [1.5]])},
        optional={
            "dimensions": st.sampled_from([1, 8, None, "8", "x", -1, 0, [], True]),
            "encoding_format": st.sampled_from(["float", "base64", None, 7]),
        },
    )
)
async def test_whatever_ingress_accepts_is_embedded(fields: dict[str, Any]) -> None:
    call = accepted(Operation.EMBEDDINGS, fields)
    if call is not None:
        openai.WholeAnswer(call, await ask("/embeddings", **fields))


@pytest.mark.parametrize(
    "fields",
    [{"input": "a", "dimensions": 2_000_000}, {"input": ["a"] * 5000, "dimensions": 1024}],
    ids=["long", "many"],
)
async def test_a_small_request_makes_no_huge_answer(fields: dict[str, Any]) -> None:
    """One client must not fill the worker's memory, nor hold up everybody's calls."""
    if accepted(Operation.EMBEDDINGS, fields) is not None:
        assert len(await ask("/embeddings", **fields)) < 4 * 1024 * 1024


async def test_a_number_that_no_float_holds_is_refused_as_a_providers_refusal_is() -> None:
    exchange = await Demo().acquire(Provider("demo", "demo"))
    body = b'{"model": "demo", "messages": [], "temperature": 1%b}' % (b"0" * 400)

    exchange.send(b"POST /chat/completions HTTP/1.1\r\nhost: x\r\n\r\n" + body)

    assert (await exchange.head()).status == 400
    assert json.loads(await exchange.read())["error"]["message"] == "a number in the body is too large"
