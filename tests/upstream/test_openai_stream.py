"""Providers' streams pass through whole, whatever their spelling; nothing that was cut looks complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.errors import Broken, UpstreamError
from gateway.core.usage import Usage
from gateway.upstream.dialects import openai, sse

STREAMS = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent.parent / "streams").glob("*.txt"))}
DONE = b"data: [DONE]\n\n"
USAGE = {
    "azure": Usage(12, 3),
    "deepseek": Usage(14, 9, cached=0, reasoning=6),
    "gemini": Usage(4, 9),
    "groq": Usage(10, 4),
    "mistral": Usage(9, 4),
    "ollama": None,
    "openai": Usage(19, 3, cached=8),
    "openrouter": Usage(11, 3),
    "vllm": Usage(13, 3),
}


def call(**fields: Any) -> Call:
    body = {"model": "m", "messages": [], "stream": True, **fields}
    options = body.get("stream_options") or {}
    return Call(
        id="r",
        operation=Operation.CHAT,
        received=0.0,
        model="m",
        body=json.dumps(body).encode(),
        fields=body,
        stream=True,
        wants_usage=options.get("include_usage") is True,
    )


def events(data: bytes) -> list[bytes | None]:
    return [sse.data_of(event) for event in sse.events(data)]


def read(data: bytes, *, cut: int | None = None, injected: bool = False) -> tuple[openai.StreamedAnswer, bytes]:
    codec = openai.StreamedAnswer(call(), injected=injected)
    parts = [data] if cut is None else [data[:cut], data[cut:]]
    passed = b"".join(codec.feed(part) for part in parts)
    if codec.failure is not None:
        raise codec.failure
    return codec, passed + codec.end()


@pytest.mark.parametrize("name", STREAMS)
def test_a_provider_s_stream_is_the_same_wherever_it_is_cut(name: str) -> None:
    data = STREAMS[name]
    whole, passed = read(data)
    assert events(passed + whole.ending(None, Usage(0, 0))) == events(data)

    for cut in range(len(data)):
        codec, again = read(data, cut=cut)
        assert again == passed
        assert (codec.usage, codec.produced()) == (whole.usage, whole.produced())


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("ends", [(b"\r\n\r\n",), (b"\r\r",), (b"\r\n\r\n", b"\n\n"), (b"\n\n", b"\r\r")], ids=repr)
def test_a_stream_reads_the_same_with_every_kind_of_line_end(name: str, ends: tuple[bytes, ...]) -> None:
    parts = STREAMS[name].removesuffix(b"\n\n").split(b"\n\n")
    data = b"".join(part + ends[place % len(ends)] for place, part in enumerate(parts))
    whole, passed = read(STREAMS[name])

    for cut in (None, *range(0, len(data), 7)):
        codec, again = read(data, cut=cut)
        assert events(again) == events(passed)
        assert (codec.usage, codec.produced()) == (whole.usage, whole.produced())


@pytest.mark.parametrize("name", STREAMS)
def test_what_was_cut_and_ended_is_never_more_than_the_whole(name: str) -> None:
    """Wherever the provider stops after a finish, what the client gets is the beginning of the answer, and all of it JSON."""
    data = STREAMS[name]
    whole = events(read(data)[1])
    for cut in range(len(data)):
        try:
            codec, passed = read(data[:cut])
        except Broken:
            continue
        assert events(passed) == whole[: len(events(passed))]
        for event in events(passed + codec.ending(7, Usage(0, 0))):
            assert event is None or event == b"[DONE]" or json.loads(event)


@pytest.mark.parametrize(
    ("name", "produced"),
    [
        ("openai", "Grüß dich ✓"),
        ("deepseek", "Let me think42"),
        ("ollama", 'weather{"city":"Köln"}'),
        ("gemini", "Hallo Welt"),
    ],
)
def test_all_that_was_generated_is_there_to_be_counted(name: str, produced: str) -> None:
    assert read(STREAMS[name])[0].produced() == [produced]


@pytest.mark.parametrize("name", STREAMS)
def test_the_usage_of_every_provider_is_read(name: str) -> None:
    assert read(STREAMS[name])[0].usage == USAGE[name]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_without_its_finish_is_broken_wherever_it_ends(name: str) -> None:
    data = STREAMS[name]
    finish = next(
        place for place in range(len(data)) if data.startswith((b'"finish_reason":"', b'"finish_reason": "'), place)
    )
    for cut in range(finish):
        codec = openai.StreamedAnswer(call(), injected=True)
        codec.feed(data[:cut])

        with pytest.raises(Broken):
            codec.end()


def test_usage_that_only_we_asked_for_is_stripped() -> None:
    codec, passed = read(STREAMS["openai"], injected=True)

    assert b'"usage"' not in passed + codec.ending(5, Usage(0, 0))
    assert codec.usage == USAGE["openai"]


def test_usage_that_the_client_asked_for_tells_the_cost_in_dollars() -> None:
    codec, _ = read(STREAMS["openai"])

    usage = json.loads(codec.ending(1_234_567, Usage(0, 0))[6:].partition(b"\n")[0])["usage"]

    assert usage["cost_usd"] == 0.001234567
    assert usage["prompt_tokens"] == 19


def chunk(finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "choices": [choice], **fields}).encode() + b"\n\n"


@pytest.mark.parametrize(
    "usage_event",
    [
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        {"choices": [], "usage": {}},
        {
            "choices": [],
            "x_groq": {"usage": {"prompt_tokens": 1}},
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        },
        {"usage": {"prompt_tokens": 1, "completion_tokens": 2}, "choices": []},
    ],
    ids=["plain", "empty", "nested usage before it", "before the choices"],
)
def test_the_cost_is_a_member_of_usage_and_the_event_stays_json(usage_event: dict[str, Any]) -> None:
    codec, _ = read(chunk("stop") + b"data: " + json.dumps(usage_event).encode() + b"\n\n" + DONE)

    last = json.loads(codec.ending(5, Usage(0, 0))[6:].partition(b"\n")[0])

    assert last["usage"].pop("cost_usd") == 5e-9
    assert last == usage_event


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (chunk() + DONE, "upstream_protocol_error"),
        (chunk(), "upstream_truncated"),
        (chunk() + b"data: nonsense\n\n", "upstream_protocol_error"),
        (chunk() + b"data: [1]\n\n", "upstream_protocol_error"),
        (chunk() + b'data: {"choices": "x"}\n\n', "upstream_protocol_error"),
        (chunk() + chunk(id="c") + chunk("stop", id="d"), "upstream_protocol_error"),
        (chunk() + b'data: {"error": {"message": "sk-canary"}}\n\n', "upstream_error"),
        (chunk() + b'data: {"error": "sk-canary", "choices": []}\n\n', "upstream_error"),
        (b'data: {"error": {"message": "sk-canary"}}\n\n', "upstream_error"),
        (b"", "upstream_truncated"),
        (b": ping\n\n", "upstream_truncated"),
    ],
)
def test_an_answer_that_goes_wrong_says_how_and_quotes_nobody(data: bytes, code: str) -> None:
    with pytest.raises(UpstreamError) as failed:
        read(data)

    assert failed.value.code == code
    assert "canary" not in failed.value.message


def test_what_came_before_an_error_still_reaches_the_client() -> None:
    codec = openai.StreamedAnswer(call(), injected=False)

    assert codec.feed(chunk() + b'data: {"error": 1}\n\n' + chunk("stop")) == chunk()
    assert codec.failure is not None


def test_nothing_after_the_end_is_passed_on() -> None:
    codec, passed = read(chunk("stop") + DONE + chunk() + b": late\n\n")

    assert passed == chunk("stop")
    assert codec.ending(None, Usage(0, 0)) == DONE


def test_every_choice_that_was_asked_for_must_finish() -> None:
    def fed(*finishes: int) -> openai.StreamedAnswer:
        codec = openai.StreamedAnswer(call(n=2), injected=True)
        for index in finishes:
            codec.feed(chunk(choices=[{"index": index, "delta": {}, "finish_reason": "stop"}]))
        return codec

    fed(1, 0).end()
    with pytest.raises(Broken):
        fed(0, 0).end()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 0}, Usage(1, 0)),
        ({"prompt_tokens": 1}, None),
        ({"prompt_tokens": -1, "completion_tokens": 2}, None),
        ({"prompt_tokens": True, "completion_tokens": 2}, None),
        ({"prompt_tokens": "1", "completion_tokens": 2}, None),
        ({"prompt_tokens": 1.0, "completion_tokens": 2}, None),
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 9}},
            Usage(5, 2, cached=5),
        ),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_taken_only_when_it_can_be_true(usage: object, expected: Usage | None) -> None:
    assert openai.read_usage(usage, Operation.CHAT) == expected
