"""Anthropic's streams become chat's, wherever they are cut; nothing that was cut looks complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Broken, UpstreamError
from gateway.core.usage import Details, Usage
from gateway.upstream.dialects import openai, sse
from gateway.upstream.dialects.anthropic.stream import Translated
from tests.upstream.test_openai_stream import call

FOLDER = Path(__file__).parent.parent / "streams" / "anthropic"
STREAMS = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.sse"))}
WHOLE = {name: data for name, data in STREAMS.items() if b"message_stop" in data}
SAID: dict[str, tuple[str, str | None, Usage]] = {
    "text": ('Hello, Grüße 世界 👋 "quoted"\nline', "stop", Usage(25, 15)),
    "tools": ("Okay, let's check the weather:", "tool_calls", Usage(472, 89)),
    "thinking": ("27 * 453 = 12,231", "stop", Usage(40, 120, reasoning=96)),
    "web_search": ("I'll check the weather.It is sunny.", "stop", Usage(10682, 510, searches=1)),
    "cached": (
        "One, two",
        "stop",
        Usage(21_203, 6, cached=20_000, details=Details(cache_write=1200, cache_write_1h=200)),
    ),
    "refusal": ("I", "content_filter", Usage(30, 2)),
    "unheard_of": ("Begun, then done.", "length", Usage(9, 5)),
}


def translated(data: bytes, *cuts: int) -> bytes:
    """Chat's events for the pieces of a stream."""
    reading = Translated(created=7)
    pieces = [data[start:end] for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True)]
    return b"".join([reading.feed(piece) for piece in pieces]) + reading.end()


def chunks(data: bytes) -> list[dict[str, Any]]:
    """Of chat's events, those that are chunks."""
    told = [sse.data_of(event) for event in sse.events(data)]
    return [json.loads(each) for each in told if each is not None and each != b"[DONE]"]


def deltas(data: bytes, name: str) -> list[Any]:
    choices = [choice for chunk in chunks(data) for choice in chunk["choices"]]
    return [choice["delta"][name] for choice in choices if choice["delta"].get(name)]


def read(events: bytes) -> openai.StreamedAnswer:
    """The answer as the gateway reads it. Raises UpstreamError."""
    codec = openai.StreamedAnswer(call(), injected=False)
    codec.feed(events)
    if codec.failure is not None:
        raise codec.failure
    codec.end()
    return codec


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_says_in_chat_what_it_said(name: str) -> None:
    events = translated(STREAMS[name])
    answer = read(events)

    text, reason, usage = SAID[name]
    assert "".join(deltas(events, "content")) == text
    assert answer.said.finish_reasons == (reason,)
    assert answer.usage == usage
    assert events.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_reads_the_same_wherever_it_is_cut(name: str) -> None:
    data = STREAMS[name]
    whole = translated(data)

    assert translated(data, *range(1, len(data))) == whole
    for cut in range(1, len(data)):
        assert translated(data, cut) == whole


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("ends", [b"\r\n", b"\r"], ids=repr)
def test_a_stream_reads_the_same_with_every_kind_of_line_end(name: str, ends: bytes) -> None:
    assert translated(STREAMS[name].replace(b"\n", ends)) == translated(STREAMS[name])


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_that_is_cut_is_never_complete(name: str) -> None:
    data = STREAMS[name]
    told = data.index(b"\n\n", data.index(b"event: message_delta"))  # where its end has been told

    for end in range(told - 1):
        events = translated(data[:end])
        assert b"[DONE]" not in events
        with pytest.raises(UpstreamError):
            read(events)


def test_tool_calls_are_numbered_and_their_arguments_are_objects() -> None:
    calls = [call for some in deltas(translated(STREAMS["tools"]), "tool_calls") for call in some]

    begun = [call for call in calls if "id" in call]
    assert [(call["index"], call["id"], call["function"]["name"]) for call in begun] == [
        (0, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather"),
        (1, "toolu_01A09q90qw90lq917835lq9", "now"),
    ]
    arguments = ["".join(call["function"]["arguments"] for call in calls if call["index"] == index) for index in (0, 1)]
    assert [json.loads(each) for each in arguments] == [{"location": "San Francisco, CA"}, {}]


def test_a_tool_whose_input_comes_at_once_has_it_too() -> None:
    block = b'{"type":"tool_use","id":"t","name":"f","input":{"a":1}}'
    start = STREAMS["text"][: STREAMS["text"].index(b"event: content_block_start")]
    events = start + b'data: {"type":"content_block_start","index":0,"content_block":%b}\n\n' % block
    events += b'data: {"type":"content_block_stop","index":0}\n\n'

    calls = [call for some in deltas(translated(events), "tool_calls") for call in some]

    assert "".join(call["function"]["arguments"] for call in calls) == '{"a":1}'


def test_thinking_is_readable_and_comes_back_whole() -> None:
    events = translated(STREAMS["thinking"])

    thought = "Let me solve this:\n\n1. 27 * 453 = 12231"
    assert "".join(deltas(events, "reasoning_content")) == thought
    assert [block for some in deltas(events, "thinking_blocks") for block in some] == [
        {
            "index": 0,
            "type": "thinking",
            "thinking": thought,
            "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds",
        },
        {
            "index": 1,
            "type": "redacted_thinking",
            "data": "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpP",
        },
    ]


def test_a_page_that_is_cited_is_an_annotation() -> None:
    (annotation,) = [each for some in deltas(translated(STREAMS["web_search"]), "annotations") for each in some]

    assert annotation["type"] == "url_citation"
    assert annotation["url_citation"]["url"] == "https://example.org/weather"


def test_a_stop_sequence_is_named() -> None:
    (last,) = [choice for chunk in chunks(translated(STREAMS["cached"])) for choice in chunk["choices"]][-1:]

    assert (last["finish_reason"], last["stop_reason"]) == ("stop", "three")


def test_an_error_in_the_midst_breaks_the_answer_and_its_words_are_not_passed_on() -> None:
    events = translated(STREAMS["error_later"])

    assert b"sk-ant-secret" not in events
    with pytest.raises(Broken) as caught:
        read(events)
    assert caught.value.code == "upstream_error"


@pytest.mark.parametrize(
    "event",
    [
        b"data: {",
        b"data: 7",
        b'data: {"type":5}',
        b'data: {"type":"content_block_delta","index":9,"delta":{"type":"text_delta","text":"x"}}',
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}',
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":5}}',
        b'data: {"type":"content_block_start","index":0,"content_block":{}}',
        b'data: {"type":"content_block_stop","index":3}',
        b'data: {"type":"message_start","message":{"id":"other"}}',
    ],
)
def test_what_is_no_event_of_a_message_breaks_the_answer(event: bytes) -> None:
    begun = STREAMS["text"][: STREAMS["text"].index(b"event: content_block_stop")]

    with pytest.raises(Broken):
        read(translated(begun + event + b"\n\n"))


def test_a_message_that_stops_without_a_reason_is_not_complete() -> None:
    data = STREAMS["text"]
    without = data[: data.index(b"event: message_delta")] + data[data.index(b"event: message_stop") :]

    with pytest.raises(Broken, match="without saying why"):
        read(translated(without))


def test_pings_become_comments() -> None:
    assert b": ping\n\n" in translated(STREAMS["text"])


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_that_is_ended_early_is_closed_in_its_own_words(name: str) -> None:
    events = sse.events(STREAMS[name])
    for shown in range(1, len(events)):
        reading = Translated(created=7)
        for event in events[:shown]:
            reading.feed(event)

        answer = read(translated(b"".join(events[:shown]) + reading.closing()))

        assert answer.is_done
    assert Translated(created=7).closing() == b""
