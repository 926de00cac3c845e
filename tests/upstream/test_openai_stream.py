"""Providers' streams pass through whole, whatever their spelling; nothing that was cut looks complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import Broken
from gateway.core.usage import Usage
from gateway.upstream.dialects import openai, sse

STREAMS = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent.parent / "streams").glob("*.txt"))}
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


def deployment(upstream_model: str) -> Deployment:
    return Deployment(name="p/m", provider=Provider("p", "openai"), upstream_model=upstream_model, price=None)


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
    assert events(passed + whole.ending(None)) == events(data)

    for cut in range(len(data)):
        codec, again = read(data, cut=cut)
        assert again == passed
        assert (codec.usage, codec.produced()) == (whole.usage, whole.produced())


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

    assert b'"usage"' not in passed + codec.ending(5)
    assert codec.usage == USAGE["openai"]


def test_usage_that_the_client_asked_for_tells_the_cost_in_dollars() -> None:
    codec, _ = read(STREAMS["openai"])

    usage = json.loads(codec.ending(1_234_567)[6:].partition(b"\n")[0])["usage"]

    assert usage["cost_usd"] == 0.001234567
    assert usage["prompt_tokens"] == 19


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(fields=st.dictionaries(st.text(), values, max_size=6), upstream=st.text(min_size=1), ascii=st.booleans())
def test_a_request_is_changed_only_where_it_must_be(fields: dict[str, Any], upstream: str, ascii: bool) -> None:
    fields = {**fields, "model": "m", "stream": True, "stream_options": {"x": 1}, "llmgw": {"a": 1}}
    body = json.dumps(fields, ensure_ascii=ascii).encode()
    asked = Call(
        id="r", operation=Operation.CHAT, received=0.0, model="m", body=body, fields=json.loads(body), stream=True
    )

    sent = openai.request_body(asked, deployment(upstream))

    expected = {**fields, "model": upstream, "stream_options": {"x": 1, "include_usage": True}}
    del expected["llmgw"]
    assert json.loads(sent) == json.loads(json.dumps(expected))
    for name, value in fields.items():
        if name not in ("model", "stream_options", "llmgw"):
            assert json.dumps(value, ensure_ascii=ascii).encode() in sent


def test_a_request_that_needs_no_change_is_the_client_s_own_bytes() -> None:
    asked = call(stream_options={"include_usage": True})

    assert openai.request_body(asked, deployment("m")) is asked.body


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


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(b"7", 7.0), (b"0", 1.0), (b"-1", 1.0), (b"1e9", 120.0), (b"soon", 1.0), (b"Thu, 01 Jan 1970 00:01:40 GMT", 40.0)],
)
def test_the_wait_a_provider_asks_for_is_understood_and_bounded(header: bytes, seconds: float) -> None:
    error = openai.failure(429, b"", {b"retry-after": header}, secrets=(), now=60.0)

    assert (error.code, error.retry_after) == ("upstream_rate_limited", seconds)


def test_a_provider_s_words_lose_our_credential() -> None:
    body = b'{"error": {"message": "key my-secret-key is bad, try sk-abcdefgh1234", "code": "bad_key", "param": "x"}}'

    error = openai.failure(400, body, {}, secrets=("my-secret-key",), now=0.0)

    assert (error.message, error.code, error.param) == ("key *** is bad, try ***", "upstream_bad_key", "x")
