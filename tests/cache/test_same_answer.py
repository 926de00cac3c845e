"""A kept answer is equal, to the SDK, to the one that was kept: streamed or not, whichever way it came first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.cache.assemble import assemble
from gateway.cache.render import DONE, fresh_events, fresh_json

STREAMS = Path(__file__).parent.parent / "streams"
FRESH: dict[str, Any] = {"id": "chatcmpl-fresh", "created": 1_800_000_000}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
pieces = st.lists(texts, max_size=5)
logprobs = st.lists(
    st.builds(
        lambda token: {"token": token, "bytes": list(token.encode()), "logprob": -0.5, "top_logprobs": []}, texts
    ),
    min_size=1,
    max_size=2,
)
usages = st.builds(
    lambda i, o: {
        "prompt_tokens": i,
        "completion_tokens": o,
        "total_tokens": i + o,
        "completion_tokens_details": {"reasoning_tokens": o},
    },
    st.integers(0, 99),
    st.integers(0, 99),
)


@st.composite
def choices(draw: st.DrawFn, index: int) -> list[dict[str, Any]]:
    """One choice as OpenAI streams it."""
    kind = draw(st.sampled_from(["content", "refusal", "reasoning", "tools", "logprobs"]))
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if kind in ("tools", "refusal") else ""}]
    reason = "tool_calls" if kind == "tools" else "stop"
    beside: list[Any] = [None]
    if kind == "tools":
        for number in range(draw(st.integers(1, 3))):
            name = draw(st.text("abc", min_size=1, max_size=4))
            call = {"index": number, "id": f"call_{number}{name}", "type": "function"}
            deltas.append({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]})
            for text in draw(pieces):
                deltas.append({"tool_calls": [{"index": number, "function": {"arguments": text}}]})
    elif kind == "reasoning":
        deltas += [{"reasoning_content": text} for text in draw(pieces)]
        deltas += [{"content": text} for text in draw(pieces)]
    else:
        member = "refusal" if kind == "refusal" else "content"
        deltas += [{member: text} for text in draw(pieces)]
    for _ in deltas[1:]:
        beside.append({"content": draw(logprobs), "refusal": None} if kind == "logprobs" else None)
    return [
        *(
            {"index": index, "delta": delta, "logprobs": tokens, "finish_reason": None}
            for delta, tokens in zip(deltas, beside, strict=True)
        ),
        {"index": index, "delta": {}, "logprobs": None, "finish_reason": reason},
    ]


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The chunks of a stream whose choices come one after the other or in turns."""
    several = [draw(choices(index)) for index in range(draw(st.integers(1, 2)))]
    parts = [part for choice in several for part in choice]
    if draw(st.booleans()):
        parts.sort(key=lambda part: 0 if "role" in part["delta"] else 1 if part["finish_reason"] is None else 2)
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "system_fingerprint": "f",
    }
    usage = {**head, "choices": [], "usage": draw(usages)}
    return [*({**head, "choices": [part], "usage": None} for part in parts), usage]


def sse(chunks: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + DONE


def events(stream: bytes) -> Iterator[str]:
    for event in stream.decode().split("\n\n"):
        if event.startswith("data: ") and event != "data: [DONE]":
            yield event[6:]


def read_by_sdk(stream: bytes) -> dict[str, Any]:
    """What the SDK makes of a stream, but for the id and the time."""
    state = ChatCompletionStreamState()
    usage = None
    for data in events(stream):
        chunk = ChatCompletionChunk.model_validate_json(data)
        state.handle_chunk(chunk)
        usage = chunk.usage or usage
    whole = state.current_completion_snapshot.model_dump(exclude={"id", "created", "usage"})
    return plain({**whole, "usage": usage.model_dump() if usage else None})


def read_json_by_sdk(body: bytes) -> dict[str, Any]:
    return plain(ChatCompletion.model_validate_json(body).model_dump(exclude={"id", "created"}))


def plain(whole: dict[str, Any]) -> dict[str, Any]:
    """Without what the SDK adds of its own, and without the difference of nothing and null, which it does not make."""
    return {
        name: plain(value)
        if isinstance(value, dict)
        else [plain(v) if isinstance(v, dict) else v for v in value]
        if isinstance(value, list)
        else value
        for name, value in whole.items()
        if value is not None and name not in ("parsed", "parsed_arguments", "index")
    }


NO_COST = b'"cost_usd":0,'
"""What a replayed stream says beside the usage that was kept."""


def replayed(document: bytes, **options: Any) -> bytes:
    return b"".join(fresh_events(document, **FRESH, **{"wants_usage": True, **options})).replace(NO_COST, b"")


@given(streams(), st.integers(1, 9))
def test_a_stream_kept_and_replayed_is_the_same_stream_to_the_sdk(chunks: list[dict[str, Any]], piece: int) -> None:
    document = assemble(sse(chunks))
    assert document is not None
    again = replayed(json.dumps(document).encode(), piece=piece)

    assert read_by_sdk(again) == read_by_sdk(sse(chunks))
    assert assemble(again) == {**document, **FRESH}


@given(streams())
def test_a_stream_kept_and_given_as_json_says_the_same(chunks: list[dict[str, Any]]) -> None:
    document = assemble(sse(chunks))
    body = fresh_json(json.dumps(document).encode(), **FRESH)

    assert read_json_by_sdk(body) == read_by_sdk(sse(chunks))


@pytest.mark.parametrize("path", sorted(STREAMS.glob("*.txt")), ids=lambda path: path.stem)
def test_what_providers_really_stream_is_kept_and_replayed(path: Path) -> None:
    stream = path.read_bytes()
    document = assemble(stream if b"[DONE]" in stream else stream + DONE)
    assert document is not None

    again = assemble(replayed(json.dumps(document).encode()))

    assert again == {**document, **FRESH}


def test_an_answer_in_one_piece_is_replayed_as_a_stream() -> None:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "It is 4.",
        "refusal": None,
        "annotations": [],
        "reasoning_content": "2 and 2",
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    body = {"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    document = json.dumps(body).encode()

    assert read_by_sdk(replayed(document)) == read_json_by_sdk(document)


def test_completions_are_replayed_too() -> None:
    chunk = {"id": "a", "object": "text_completion", "created": 1, "model": "m"}
    tokens = {"tokens": ["4"], "token_logprobs": [-0.1], "top_logprobs": None, "text_offset": [0]}
    chunks = [
        {**chunk, "choices": [{"index": 0, "text": "4", "logprobs": tokens, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "text": "!", "logprobs": tokens, "finish_reason": "stop"}]},
    ]
    document = assemble(sse(chunks))
    whole = Completion.model_validate(document)

    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("4!", "stop")
    assert assemble(replayed(json.dumps(document).encode(), wants_usage=False)) == {**(document or {}), **FRESH}


def test_the_id_and_the_time_are_fresh_and_each_chunk_has_them() -> None:
    document = assemble((STREAMS / "openai.txt").read_bytes())
    body = json.dumps(document).encode()
    chunks = [json.loads(data) for data in events(replayed(body))]

    assert {(chunk["id"], chunk["created"]) for chunk in chunks} == {(FRESH["id"], FRESH["created"])}
    assert json.loads(fresh_json(body, **FRESH)).items() >= FRESH.items()


def test_usage_is_streamed_only_to_those_who_ask() -> None:
    body = json.dumps(assemble((STREAMS / "openai.txt").read_bytes())).encode()

    assert b'"usage"' in replayed(body)
    assert b'"usage"' not in replayed(body, wants_usage=False)


def test_embeddings_have_no_id_and_get_none() -> None:
    body = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"e"}'

    assert json.loads(fresh_json(body, **FRESH)) == json.loads(body)
    with pytest.raises(ValueError, match="only completions"):
        replayed(body)


def sent(*data: str, end: str = "\n") -> bytes:
    return "".join(f"data: {one}{end}{end}" for one in data).encode()


def delta(members: str) -> str:
    return '{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{' + members + "}}]}"


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        sent("[DONE]"),
        sent("not json", "[DONE]"),
        sent("[1]", "[DONE]"),
        sent(delta("")),
        sent("[DONE]", delta("")),
        sent('{"error":{"message":"overloaded"}}', "[DONE]"),
        sent(delta('"audio":{"n":1}'), delta('"audio":{"n":2}'), "[DONE]"),
        sent(delta('"content":[{"type":"text"}]'), "[DONE]"),
        sent(delta('"role":"assistant"'), delta('"role":"tool"'), "[DONE]"),
        sent(delta('"x":"a"'), delta('"x":{"y":"z"}'), "[DONE]"),
    ],
)
def test_a_stream_that_is_not_whole_or_not_clear_is_not_kept(stream: bytes) -> None:
    assert assemble(stream) is None


@pytest.mark.parametrize("number", ["9007199254740993", "18446744073709551615", "-0.00012345678901234567", "1e-07"])
def test_a_streamed_number_is_replayed_exactly(number: str) -> None:
    document = assemble(sent(delta(f'"content":"hi","n":{number}'), "[DONE]"))

    first = next(iter(events(replayed(orjson.dumps(document)))))
    assert Decimal(re.findall('"n":([^,}]+)', first)[0]) == Decimal(number)


@pytest.mark.parametrize(
    "number", ["18446744073709551616", "-" + "9" * 40, "0.1000000000000000055511151231257827", "2.5e400"]
)
def test_a_stream_with_a_number_that_cannot_be_kept_exactly_is_not_kept(number: str) -> None:
    assert assemble(sent(delta(f'"content":"hi","n":{number}'), "[DONE]")) is None


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "1.10", "1E5", "9007199254740993"])
def test_a_number_of_a_document_is_streamed_as_it_was_written(number: str) -> None:
    message = f'{{"role":"assistant","content":"hi","n":{number}}}'
    choice = f'{{"index":0,"message":{message},"finish_reason":"stop","score":{number}}}'
    document = f'{{"object":"chat.completion","n":{number},"choices":[{choice}],"usage":{{"n":{number}}}}}'

    first, *_, last, usage = events(replayed(document.encode()))
    assert first.count(f'"n":{number}') == 2
    assert f'"score":{number}' in last
    assert f'"usage":{{"n":{number}}}' in usage


def test_tokens_of_an_empty_second_choice_are_read_once() -> None:
    head = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    tokens = {"content": [{"token": "", "bytes": [], "logprob": -0.5, "top_logprobs": []}], "refusal": None}
    parts = [
        {"index": index, "delta": delta, "logprobs": beside, "finish_reason": reason}
        for index in (0, 1)
        for delta, beside, reason in (
            ({"role": "assistant", "content": ""}, None, None),
            ({"content": ""}, tokens, None),
            ({}, None, "stop"),
        )
    ]
    stream = sse([{**head, "choices": [part]} for part in parts])

    assert read_by_sdk(replayed(orjson.dumps(assemble(stream)))) == read_by_sdk(stream)


def test_items_of_lists_keep_their_index_in_a_replayed_stream() -> None:
    notes = '"annotations":[{"index":0,"type":"url_citation"},{"index":1,"type":"file"}]'
    document = assemble(sent(delta('"role":"assistant","content":"hi"'), delta(notes), "[DONE]"))

    first = json.loads(next(iter(events(replayed(orjson.dumps(document))))))
    assert first["choices"][0]["delta"]["annotations"] == [
        {"index": 0, "type": "url_citation"},
        {"index": 1, "type": "file"},
    ]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_lines_may_end_in_any_way_that_events_allow(end: str) -> None:
    stream = sent(delta('"content":"hi"'), end=end) + f": still here{end}{end}".encode() + sent("[DONE]", end=end)

    assert (assemble(stream) or {})["choices"][0]["message"]["content"] == "hi"


def test_the_usage_of_a_replayed_stream_has_cost_nothing() -> None:
    document = {"object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    events = list(fresh_events(json.dumps(document).encode(), **FRESH, wants_usage=True))

    assert json.loads(events[-2][6:])["usage"] == {"cost_usd": 0, "prompt_tokens": 9, "completion_tokens": 2}


@pytest.mark.parametrize("usage", [None, 5, [], "much"])
def test_a_usage_that_says_nothing_is_not_streamed(usage: Any) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    document = {"object": "chat.completion", "choices": [choice], "usage": usage}

    assert b"usage" not in replayed(json.dumps(document).encode())


def test_calls_of_tools_that_are_no_objects_are_streamed_as_they_are() -> None:
    message = {"role": "assistant", "content": "hi", "tool_calls": [None, 5]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    document = {"object": "chat.completion", "choices": [choice]}

    first = json.loads(next(iter(events(replayed(json.dumps(document).encode())))))
    assert first["choices"][0]["delta"]["tool_calls"] == [None, 5]
