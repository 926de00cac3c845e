"""Streams of OpenAI's responses are read in chat's terms, wherever they are cut; what was cut never looks complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.errors import Broken, UpstreamError
from gateway.core.usage import Usage
from gateway.upstream.dialects import openai, sse
from gateway.upstream.dialects.responses.translation import ResponsesTranslation

STREAMS = {
    path.stem: path.read_bytes()
    for path in sorted((Path(__file__).parent.parent / "streams" / "responses").glob("*.sse"))
}
GOOD = sorted(STREAMS.keys() - {"failed"})


def chunks(name: str, pieces: list[bytes]) -> list[Any]:
    translation = ResponsesTranslation()
    told = b"".join([translation.feed(piece) for piece in pieces]) + translation.end()
    data = [sse.data_of(event) for event in sse.events(told)]
    return [each if each == b"[DONE]" else json.loads(each) for each in data if each]


def deltas(name: str) -> list[dict[str, Any]]:
    told = chunks(name, [STREAMS[name]])
    return [choice["delta"] for chunk in told if chunk != b"[DONE]" for choice in chunk.get("choices", [])]


def joined(name: str, member: str) -> str:
    return "".join(delta.get(member) or "" for delta in deltas(name))


def reason(name: str) -> str | None:
    told = [chunk for chunk in chunks(name, [STREAMS[name]]) if chunk != b"[DONE]" and chunk.get("choices")]
    return next((c["choices"][0]["finish_reason"] for c in told if c["choices"][0]["finish_reason"]), None)


def streamed() -> Call:
    fields = {"model": "m", "messages": [], "stream": True}
    return Call(
        id="r",
        operation=Operation.CHAT,
        received=0.0,
        model="m",
        body=b"{}",
        fields=fields,
        stream=True,
        wants_usage=True,
    )


@pytest.mark.parametrize("name", STREAMS)
def test_the_same_is_told_wherever_a_stream_is_cut_in_two(name: str) -> None:
    stream = STREAMS[name]
    whole = ResponsesTranslation()
    expected = whole.feed(stream) + whole.end()

    for cut in range(len(stream) + 1):
        translation = ResponsesTranslation()
        assert translation.feed(stream[:cut]) + translation.feed(stream[cut:]) + translation.end() == expected


@pytest.mark.parametrize("name", STREAMS)
def test_the_same_is_told_byte_by_byte(name: str) -> None:
    assert chunks(name, [bytes([byte]) for byte in STREAMS[name]]) == chunks(name, [STREAMS[name]])


@pytest.mark.parametrize("name", GOOD)
def test_no_beginning_of_a_stream_looks_complete(name: str) -> None:
    stream = STREAMS[name].rstrip()

    for end in range(len(stream)):
        translation, codec = ResponsesTranslation(), openai.StreamedAnswer(streamed(), injected=False)
        codec.feed(translation.feed(stream[:end]) + translation.end())
        assert not codec.is_complete
        with pytest.raises(Broken):
            codec.end()


@pytest.mark.parametrize("name", GOOD)
def test_a_whole_stream_is_complete(name: str) -> None:
    translation, codec = ResponsesTranslation(), openai.StreamedAnswer(streamed(), injected=False)

    codec.feed(translation.feed(STREAMS[name]) + translation.end())

    assert codec.failure is None
    assert codec.is_complete
    assert codec.is_done
    assert codec.usage is not None


def test_text_and_usage() -> None:
    translation, codec = ResponsesTranslation(), openai.StreamedAnswer(streamed(), injected=False)
    codec.feed(translation.feed(STREAMS["text"]))

    assert joined("text", "content") == "Hi there! Grüße, 世界."
    assert reason("text") == "stop"
    assert codec.usage == Usage(37, 11, cached=16)
    assert codec.said.model == "gpt-5-2025-08-07"
    assert codec.said.id == "resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654"


def test_calls_of_tools_are_numbered_among_themselves() -> None:
    found: dict[int, dict[str, Any]] = {}
    for delta in deltas("tools"):
        for call in delta.get("tool_calls", ()):
            kept = found.setdefault(call["index"], {"id": call.get("id"), "arguments": ""})
            kept["arguments"] += call["function"]["arguments"]

    assert found == {
        0: {"id": "call_A", "arguments": '{"city":"Paris"}'},
        1: {"id": "call_B", "arguments": '{"city":"Rome"}'},
    }
    assert (joined("tools", "content"), reason("tools")) == ("Let me look.", "tool_calls")


def test_a_custom_tool_gets_text() -> None:
    calls = [call for delta in deltas("custom") for call in delta.get("tool_calls", ())]

    assert (calls[0]["id"], calls[0]["type"], calls[0]["custom"]["name"]) == ("call_C", "custom", "apply_patch")
    text = "".join(call["custom"]["input"] for call in calls)
    assert text == '*** Begin Patch\n*** Add File: a.txt\n+hi "you"\n*** End Patch'


def test_reasoning_is_read_and_what_is_sealed_goes_with_it() -> None:
    items = [item for delta in deltas("reasoning") for item in delta.get("reasoning_items", ())]

    assert joined("reasoning", "reasoning_content") == "**Thinking** about it\n\n**Then** more"
    assert [(item["id"], item["encrypted_content"]) for item in items] == [("rs_1", "gAAAAABsealed==")]
    assert joined("reasoning", "content") == "42"


def test_other_endings() -> None:
    assert joined("refusal", "refusal") == "I cannot do that."
    assert [reason(name) for name in ("refusal", "incomplete", "filtered")] == ["stop", "length", "content_filter"]


def test_items_that_are_not_known_are_passed_over_and_citations_are_not() -> None:
    notes = [note for delta in deltas("web_search") for note in delta.get("annotations", ())]

    assert joined("web_search", "content") == "See this."
    assert [(note["type"], note["url_citation"]["url"]) for note in notes] == [
        ("url_citation", "https://example.com/a")
    ]


def test_a_failure_is_told_without_the_provider_s_words() -> None:
    translation, codec = ResponsesTranslation(), openai.StreamedAnswer(streamed(), injected=False)

    told = codec.feed(translation.feed(STREAMS["failed"]))

    assert b"had an error" not in told
    assert isinstance(codec.failure, UpstreamError)
    assert codec.failure.code == "upstream_error"
    assert not codec.is_complete


@pytest.mark.parametrize("name", [*GOOD])
def test_a_whole_response_says_what_its_stream_says(name: str) -> None:
    last = json.loads(sse.data_of(sse.events(STREAMS[name])[-1]) or b"")
    body = json.dumps(last["response"]).encode()

    answer = json.loads(ResponsesTranslation().whole(body))

    message = answer["choices"][0]["message"]
    assert (message["content"] or "") == joined(name, "content")
    assert (message["refusal"] or "") == joined(name, "refusal")
    assert message.get("reasoning_content", "") == joined(name, "reasoning_content")
    assert answer["choices"][0]["finish_reason"] == reason(name)
    assert openai.WholeAnswer(streamed(), json.dumps(answer).encode()).is_complete


def test_no_beginning_of_a_whole_response_is_complete_or_raises() -> None:
    last = json.loads(sse.data_of(sse.events(STREAMS["tools"])[-1]) or b"")
    body = json.dumps(last["response"]).encode()

    for end in range(len(body)):
        answer = json.loads(ResponsesTranslation().unfinished(body[:end]))
        assert isinstance(answer, dict)


@pytest.mark.parametrize("name", ["text", "tools", "custom", "reasoning", "refusal"])
def test_a_stream_that_is_stopped_ends_as_its_provider_would_end_it(name: str) -> None:
    events = sse.events(STREAMS[name])

    for count in range(2, len(events)):
        translation = ResponsesTranslation()
        translation.feed(b"".join(events[:count]))
        closing = sse.events(translation.closing())
        told = [json.loads(sse.data_of(event) or b"") for event in [*events[: count - 1], *closing]]
        assert [each["sequence_number"] for each in told] == list(range(len(told)))
        last = told[-1]
        assert last["type"] == "response.incomplete"
        assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
        begun = [each["output_index"] for each in told if each["type"] == "response.output_item.added"]
        done = [each["output_index"] for each in told if each["type"] == "response.output_item.done"]
        assert sorted(begun) == sorted(done)
        assert [each["item"] for each in told if each["type"] == "response.output_item.done"] == last["response"][
            "output"
        ]


def test_a_stream_that_has_ended_is_not_ended_again() -> None:
    translation = ResponsesTranslation()
    translation.feed(STREAMS["text"])

    assert translation.closing() == b""
