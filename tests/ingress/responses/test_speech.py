"""Chat's chunks are told as the events of a response, however they come; the events and the whole response say the same."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Broken
from gateway.ingress.responses.speech import ResponsesSpeech
from gateway.upstream.dialects.responses.thinking import unsealed

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "cost_usd": 0.5}


def chunk(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: %b\n\n" % json.dumps({**head, "choices": [choice]}).encode()


def usage(told: Mapping[str, Any] = USAGE) -> bytes:
    return b"data: %b\n\n" % json.dumps({"id": "c", "choices": [], "usage": told}).encode()


def parsed(events: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in events.split(b"\n") if line.startswith(b"data: ")]


def speech(*, custom: Collection[str] = (), own: Collection[str] = (), **fields: Any) -> ResponsesSpeech:
    made = ResponsesSpeech(lambda: 1000.0)
    made.asked({"model": "m", **fields}, custom=custom, own=own, is_kept=True)
    made.begin(None)
    return made


def told(*chunks: bytes, custom: Collection[str] = (), own: Collection[str] = ()) -> list[Any]:
    speaking = speech(custom=custom, own=own)
    return parsed(b"".join([speaking.sent(each) for each in chunks]) + speaking.ended(usage() + DONE))


def call(index: int, **members: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **members}]}


def function(index: int, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    inner = {"name": name, "arguments": arguments}
    return call(index, id=f"call_{index}", type="function", function=inner, **more)


def output(events: list[Any]) -> list[Any]:
    """The items, which their own events say too, each begun before it is done."""
    begun: list[int] = []
    done: dict[int, Any] = {}
    for event in events:
        if event["type"] == "response.output_item.added":
            begun.append(event["output_index"])
        if event["type"] == "response.output_item.done":
            assert event["output_index"] in begun
            done[event["output_index"]] = event["item"]
    final = events[-1]["response"]["output"]
    assert begun == sorted(done) == list(range(len(final)))
    assert [done[place] for place in begun] == final
    return list(final)


def test_calls_told_in_turns_are_told_whole() -> None:
    events = told(
        chunk(function(0, "f", '{"a":')),
        chunk(function(1, "g", '{"b":')),
        chunk(call(0, function={"arguments": "1}"})),
        chunk(call(1, function={"arguments": "2}"})),
        chunk({}, "tool_calls"),
    )

    assert [(item["name"], item["arguments"]) for item in output(events)] == [("f", '{"a":1}'), ("g", '{"b":2}')]


def test_a_custom_tool_s_call_in_either_form() -> None:
    custom = call(0, id="a", type="custom", custom={"name": "c", "input": "x"})
    events = told(chunk(custom), chunk(call(0, custom={"input": "y"})), chunk({}, "tool_calls"))
    shim = told(chunk(function(0, "c", '{"input":"x')), chunk(call(0, function={"arguments": 'y"}'})), custom={"c"})

    assert [item["input"] for item in (*output(events), *output(shim))] == ["xy", "xy"]
    assert {item["type"] for item in (*output(events), *output(shim))} == {"custom_tool_call"}
    deltas = [e["delta"] for e in (*events, *shim) if e["type"] == "response.custom_tool_call_input.delta"]
    assert deltas == ["x", "y", "xy"]


def test_a_tool_of_the_client_s_own_that_cannot_be_read_stays_a_function() -> None:
    good, bad = chunk(function(0, "apply_patch", '{"type":"delete_file","path":"a"}')), chunk(function(0, "shell", "{"))

    (patch,), (shell,) = (output(told(each, own={"apply_patch", "shell"})) for each in (good, bad))

    assert (patch["type"], patch["operation"]) == ("apply_patch_call", {"type": "delete_file", "path": "a"})
    assert (shell["type"], shell["arguments"]) == ("function_call", "{")


def test_reasoning_keeps_the_id_and_the_seal_that_belong_together() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    events = told(
        chunk({"reasoning_content": "Hm.", "reasoning_item_id": "rs_1"}),
        chunk({"reasoning_items": [item]}),
        chunk({"content": "Yes."}, "stop"),
    )

    reasoning, message = output(events)
    assert (reasoning["id"], reasoning["encrypted_content"]) == ("rs_1", "gAAA")
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert message["content"][0]["text"] == "Yes."


def test_reasoning_that_comes_before_its_text_is_told_once() -> None:
    """As kept answers tell it."""
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
    events = told(
        chunk({"reasoning_items": [item]}), chunk({"reasoning_content": "Hm."}), chunk({"content": "Yes."}, "stop")
    )

    assert [each["type"] for each in output(events)] == ["reasoning", "message"]


def test_signed_thinking_is_carried_in_the_seal() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]
    events = told(
        chunk({"reasoning_content": "Hm."}),
        chunk({"thinking_blocks": blocks}),
        chunk(function(0, "f", "{}"), "tool_calls"),
    )

    reasoning, _ = output(events)
    assert unsealed(reasoning["encrypted_content"]) == blocks


def test_what_a_provider_wants_to_see_again_goes_with_the_call() -> None:
    extra = {"google": {"thought_signature": "x"}}

    (item,) = output(told(chunk(function(0, "f", "{}", extra_content=extra), "tool_calls")))

    assert item["extra_content"] == extra


def test_a_refusal_citations_and_logprobs() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "A"}}
    logprobs = {
        "content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "b", "logprob": -1}]}]
    }
    events = told(
        chunk({"content": "a"}, logprobs=logprobs), chunk({"annotations": [note]}), chunk({"refusal": "No."}, "stop")
    )

    (message,) = output(events)
    text, refusal = message["content"]
    assert text["annotations"] == [{"type": "url_citation", "url": "https://example.com", "title": "A"}]
    assert text["logprobs"][0]["top_logprobs"] == [{"token": "b", "bytes": [], "logprob": -1}]
    assert refusal == {"type": "refusal", "refusal": "No."}


def test_endings() -> None:
    ends = {
        reason: told(chunk({"content": "a"}), chunk({}, reason))[-1] for reason in ("stop", "length", "content_filter")
    }

    assert [end["type"] for end in ends.values()] == ["response.completed", *["response.incomplete"] * 2]
    reasons = [end["response"]["incomplete_details"] for end in ends.values()]
    assert reasons == [None, {"reason": "max_output_tokens"}, {"reason": "content_filter"}]
    assert ends["length"]["response"]["output"][0]["status"] == "incomplete"
    assert ends["stop"]["response"]["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
        "cost_usd": 0.5,
    }


def test_a_stream_that_breaks_tells_what_was_done_and_no_more() -> None:
    speaking = speech()
    sent = speaking.sent(chunk(function(0, "f", "{}"))) + speaking.sent(chunk({"content": "Hel"}))

    events = parsed(sent + speaking.broken(Broken("the provider's answer was cut off")))

    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-2]["code"] == "upstream_truncated"
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["function_call"]
    assert speaking.response is None


def test_the_last_words_are_the_same_each_time() -> None:
    speaking = speech()
    speaking.sent(chunk({"content": "Hi"}, "stop"))

    assert speaking.ended(usage() + DONE) == speaking.ended(usage() + DONE)
    assert speaking.response is not None


def test_what_keeps_a_stream_warm_is_passed_on() -> None:
    assert speech().sent(b": ping\n\n") == b": ping\n\n"


PIECES = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=8).map(lambda text: {"content": text}),
        st.text(min_size=1, max_size=8).map(lambda text: {"reasoning_content": text}),
        st.text(min_size=1, max_size=8).map(lambda text: {"refusal": text}),
        st.integers(0, 2).map(lambda index: function(index, "f", "{}")),
    ),
    max_size=12,
)


@given(PIECES)
def test_deltas_add_up_to_the_items(deltas: list[dict[str, Any]]) -> None:
    events = told(*map(chunk, deltas), chunk({}, "stop"))

    items = output(events)
    texts = [part.get("text") or part.get("refusal") for item in items for part in item.get("content") or ()]
    thoughts = [part["text"] for item in items for part in item.get("summary") or ()]
    assert "".join(texts) == "".join(d.get("content") or d.get("refusal") or "" for d in deltas)
    assert "".join(thoughts) == "".join(d.get("reasoning_content") or "" for d in deltas)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_a_whole_answer_says_what_its_stream_says() -> None:
    message = {"role": "assistant", "reasoning_content": "Hm.", "content": "Yes.", **function(0, "f", "{}")}
    completion = {
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": USAGE,
    }

    whole = json.loads(speech().whole(json.dumps(completion).encode()))

    streamed = told(
        chunk({"reasoning_content": "Hm."}), chunk({"content": "Yes."}), chunk(function(0, "f", "{}"), "tool_calls")
    )
    without_ids = [
        [{name: value for name, value in item.items() if name != "id"} for item in each["output"]]
        for each in (whole, streamed[-1]["response"])
    ]
    assert without_ids[0] == without_ids[1]
    assert (whole["status"], whole["usage"]) == ("completed", streamed[-1]["response"]["usage"])


def test_what_has_no_shape_of_an_answer_is_broken() -> None:
    odd = chunk({"content": "a"}, logprobs={"content": {"token": "a"}})

    with pytest.raises(Broken):
        speech().sent(odd)
