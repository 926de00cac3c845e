"""Answers with values that no provider should send are errors of the provider's, or answers: never a crash of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.call import Operation
from gateway.core.errors import UpstreamError
from gateway.core.usage import Usage
from gateway.upstream.dialects import DIALECTS, openai
from gateway.upstream.dialects.chunks import DONE
from tests.eventstream import event
from tests.upstream.translating import chat

HUGE = 10**30
TOOL = {"type": "tool_use", "id": "t", "name": "f"}
USED = {"input_tokens": 1, "output_tokens": 1}


def events(*told: Any) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in told)


def anthropic(*blocks: Any) -> bytes:
    start = {"type": "message_start", "message": {"id": "m", "model": "c", "usage": USED}}
    ends = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
    return events(start, *blocks, ends, {"type": "message_stop"})


def responses(begun: Any, ended: Any) -> bytes:
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": HUGE}
    return events(
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Hi"},
        {"type": "response.completed", "response": ended},
    )


STREAMS = {
    "a tool's input with a huge number": (
        "anthropic",
        anthropic(
            {"type": "content_block_start", "index": 0, "content_block": {**TOOL, "input": {"n": HUGE}}},
            {"type": "content_block_stop", "index": 0},
        ),
    ),
    "a block of a huge index": (
        "anthropic",
        anthropic({"type": "content_block_start", "index": HUGE, "content_block": {"type": "text", "text": "Hi"}}),
    ),
    "a response that is none": ("responses", responses(True, {"status": "completed"})),
    "a response that ends as none": ("responses", responses({"id": "r"}, ["completed"])),
    "a response made at no time": ("responses", responses({"created_at": "now"}, {"status": "completed"})),
    "a response made at the end of all time": (
        "responses",
        responses({"created_at": HUGE}, {"status": "completed", "usage": {"input_tokens": HUGE}}),
    ),
    "a response nested too deep": (
        "responses",
        b'data: {"type": "response.created", "item": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}\n\n",
    ),
    "a response that is not UTF-8": (
        "responses",
        b'data: {"type": "response.created", "response": {"id": "\xff"}}\n\n',
    ),
    "arguments that are not UTF-8": (
        "gemini",
        b'data: {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": "\xff"}}}]}}]}\n\n',
    ),
    "usage that is no object": (
        "openai",
        events({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]})
        + events({"choices": [], "usage": True})
        + DONE,
    ),
}


@pytest.mark.parametrize(("dialect", "stream"), STREAMS.values(), ids=STREAMS)
def test_a_stream(dialect: str, stream: bytes) -> None:
    call = chat(stream=True)
    translation = DIALECTS[dialect].translation(call)
    answer = openai.StreamedAnswer(call, injected=False)
    try:
        answer.feed(translation.feed(stream) if translation else stream)
        answer.feed(translation.end() if translation else b"")
        if answer.failure is None:
            answer.end()
    except UpstreamError:
        assert not answer.is_complete
    if translation is not None:
        assert translation.closing() is not None
    assert answer.ending(5, answer.usage or Usage(1, 1)).endswith(DONE)


DOCUMENTS = {
    "a message with a huge number": (
        "anthropic",
        {"id": HUGE, "content": [{**TOOL, "input": {"n": HUGE}}], "stop_reason": "tool_use", "usage": USED},
    ),
    "a response with a huge number": (
        "responses",
        {"id": HUGE, "output": [{"type": "reasoning", "n": HUGE}], "status": "completed", "usage": USED},
    ),
    "a response nested too deep": (
        "responses",
        {"id": json.loads("[" * 600 + "]" * 600), "output": [], "status": "completed"},
    ),
    "embeddings with choices": ("openai", {"data": [], "choices": True}),
    "embeddings with choices that are none": ("openai", {"data": [], "choices": ["x"]}),
}


@pytest.mark.parametrize(("dialect", "document"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_whole_answer(dialect: str, document: Any) -> None:
    call = chat(Operation.EMBEDDINGS, input="Hi") if "data" in document else chat()
    translation = DIALECTS[dialect].translation(call)
    body = json.dumps(document).encode()
    unread = translation.unfinished(body) if translation else body

    try:
        answer = openai.WholeAnswer(call, translation.whole(body) if translation else body)
    except UpstreamError as error:
        assert error.code == "upstream_invalid_response"  # noqa: PT017
    else:
        assert answer.is_complete
        assert answer.produced() is not None
    assert isinstance(json.loads(unread), dict)


def test_the_huge_numbers_of_a_tool_are_kept() -> None:
    document = {"content": [{**TOOL, "input": {"n": HUGE}}], "stop_reason": "tool_use", "usage": USED}
    translation = DIALECTS["anthropic"].translation(chat())
    assert translation is not None

    told = json.loads(translation.whole(json.dumps(document).encode()))

    assert told["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == f'{{"n":{HUGE}}}'


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (
            "gemini",
            b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": "\xff"}}}]}}]}',
        ),
        ("bedrock", b'{"output": {"message": {"content": [{"toolUse": {"name": "f", "input": {"a": "\xff"}}}]}}}'),
    ],
)
def test_arguments_that_are_not_text(dialect: str, body: bytes) -> None:
    translation = DIALECTS[dialect].translation(chat())
    assert translation is not None

    with pytest.raises(UpstreamError) as caught:
        translation.whole(body)
    assert caught.value.code == "upstream_invalid_tool_call"


COUNTS: tuple[Any, ...] = ("5", -1, 1.5, HUGE, [])
NONSENSE: tuple[Any, ...] = (
    True,
    "x",
    [1],
    {},
    *[{"promptTokenCount": each, "inputTokens": each, "outputTokens": 1} for each in COUNTS],
)


@pytest.mark.parametrize("usage", NONSENSE, ids=str)
def test_usage_that_is_none_spoils_no_answer(usage: Any) -> None:
    said = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}], "usageMetadata": usage}
    whole = {"output": {"message": {"content": [{"text": "Hi"}]}}, "stopReason": "end_turn", "usage": usage}
    stream = (
        event("messageStart", {"role": "assistant"})
        + event("contentBlockDelta", {"delta": {"text": "Hi"}, "contentBlockIndex": 0})
        + event("messageStop", {"stopReason": "end_turn"})
        + event("metadata", {"usage": usage})
    )
    for dialect, document, told in (("gemini", said, events(said)), ("bedrock", whole, stream)):
        call = chat(stream=True)
        translation = DIALECTS[dialect].translation(call)
        assert translation is not None
        answer = openai.StreamedAnswer(call, injected=False)
        answer.feed(translation.feed(told) + translation.end())
        answer.end()
        entire = openai.WholeAnswer(chat(), translation.whole(json.dumps(document).encode()))

        assert answer.produced() == entire.produced() == ["Hi"]
        assert (answer.is_complete, entire.is_complete) == (True, True)
        assert (answer.usage, entire.usage) == (None, None)


@pytest.mark.parametrize("usage", NONSENSE, ids=str)
def test_usage_that_is_none_spoils_no_embeddings(usage: Any) -> None:
    call = chat(Operation.EMBEDDINGS, input="Hi")
    translation = DIALECTS["gemini"].translation(call)
    assert translation is not None

    answer = openai.WholeAnswer(
        call, translation.whole(json.dumps({"embeddings": [{"values": [0.5]}], "usageMetadata": usage}).encode())
    )

    assert answer.usage is None


def test_a_message_that_is_cut_has_used_the_prompt_that_was_counted_at_its_beginning() -> None:
    counted = {"input_tokens": 9000, "cache_read_input_tokens": 500, "output_tokens": 1}
    begun = events(
        {"type": "message_start", "message": {"id": "m", "model": "c", "usage": counted}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hi"}},
    )
    call = chat(stream=True)
    translation = DIALECTS["anthropic"].translation(call)
    assert translation is not None
    answer = openai.StreamedAnswer(call, injected=True)

    passed = answer.feed(translation.feed(begun))

    assert answer.usage == Usage(9500, 1, cached=500)
    assert not answer.is_complete
    assert b"usage" not in passed
