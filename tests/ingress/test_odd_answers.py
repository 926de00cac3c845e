"""Whatever a provider's answer holds, a client of another dialect is told an answer or an error of the provider's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.core.errors import UpstreamError
from gateway.ingress.anthropic.relayed import Shown
from gateway.ingress.anthropic.speech import AnthropicSpeech
from gateway.ingress.reply import Speech
from gateway.ingress.responses.speech import ResponsesSpeech
from tests.upstream.translating import chat

HUGE = 10**30
DEEP = '{"a":' + "[" * 400 + "]" * 400 + "}"
DELTAS: dict[str, dict[str, Any]] = {
    "parts that are none": {"content": [1, {"text": "Hi"}]},
    "a call of no index": {"tool_calls": [{"index": ["x"], "id": 5, "function": {"name": [1], "arguments": "{}"}}]},
    "a call with huge numbers": {
        "tool_calls": [{"index": 0, "function": {"name": "f", "arguments": f'{{"n":{HUGE}}}'}}]
    },
    "a call nested too deep": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": DEEP}}]},
    "calls that are none": {"content": "Hi", "tool_calls": [1]},
    "thinking with a huge number": {"thinking_blocks": [{"type": "redacted_thinking", "data": HUGE}]},
    "reasoning with a huge number": {"reasoning_items": [{"type": "reasoning", "n": HUGE}]},
}
BESIDE: dict[str, dict[str, Any]] = {
    "a model that is a number": {"model": 5},
    "usage that is none": {"usage": True},
    "usage with huge numbers": {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "server_tool_use": {"n": HUGE}}},
}


def speeches() -> Iterator[Speech]:
    anthropic = AnthropicSpeech("req_1")
    anthropic.asked(chat())
    responses = ResponsesSpeech(lambda: 1.0)
    responses.asked({"model": "m"}, custom=frozenset({"g"}), own=frozenset(), is_kept=True)
    for speech in (anthropic, responses):
        speech.begin(None)
        yield speech


ANSWERS = {
    **{name: {"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]} for name, delta in DELTAS.items()},
    **{
        name: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **more} for name, more in BESIDE.items()
    },
}


@pytest.mark.parametrize("chunk", ANSWERS.values(), ids=ANSWERS)
def test_a_stream(chunk: dict[str, Any]) -> None:
    for speech in speeches():
        try:
            told = speech.sent(b"data: %b\n\n" % json.dumps(chunk).encode()) + speech.ended(b"data: [DONE]\n\n")
        except UpstreamError as error:
            told = speech.broken(error)
        assert told


@pytest.mark.parametrize("chunk", ANSWERS.values(), ids=ANSWERS)
def test_a_whole_answer(chunk: dict[str, Any]) -> None:
    choices = [{"index": 0, "message": each["delta"], "finish_reason": "stop"} for each in chunk["choices"]]
    for speech in speeches():
        try:
            told = speech.whole(json.dumps({**chunk, "choices": choices}).encode())
        except UpstreamError as error:
            told = speech.failed(error)
        assert isinstance(json.loads(told), dict)


def test_the_huge_numbers_of_a_call_are_kept() -> None:
    call = {"id": "t", "function": {"name": "f", "arguments": f'{{"n":{HUGE}}}'}}
    choice = {"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}
    speech = next(speeches())

    told = json.loads(speech.whole(json.dumps({"choices": [choice]}).encode()))

    assert told["content"][0]["input"] == {"n": HUGE}


@pytest.mark.parametrize(
    "data",
    [
        b'{"type": "content_block_start"}',
        b'["content_block_start"]',
        b'{"content_block_start',
        b'"content_block_st\xff"',
    ],
)
def test_blocks_without_a_place(data: bytes) -> None:
    shown = Shown()
    event = b"data: %b\n\n" % data

    assert shown.add(event) == event
    assert shown.closing(None).endswith(b"\n\n")


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_events_end_as_their_provider_ends_them(end: bytes) -> None:
    chunks: list[dict[str, Any]] = [
        {"delta": {"content": "Grüß"}},
        {"delta": {"content": " Gott"}, "finish_reason": "stop"},
    ]
    events = [b"data: " + json.dumps({"choices": [{"index": 0, **chunk}]}).encode() + end for chunk in chunks]
    for speech in speeches():
        told = speech.sent(b"".join(events)) + speech.ended(b": warm" + end + b"data: [DONE]" + end)

        assert told.count(json.dumps(" Gott").encode()) > 0
        assert b"stop" in told or b"completed" in told
