"""A chat's stream is told in Anthropic's events: blocks one after the other, each opened and closed, and one end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Broken, NotFound, Overloaded
from gateway.ingress.anthropic.relayed import Shown
from gateway.ingress.anthropic.speech import AnthropicSpeech
from gateway.upstream.dialects import sse

FOLDER = Path(__file__).parents[2] / "streams"
CHATS = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.txt"))}
RELAYED = {path.stem: path.read_bytes() for path in sorted((FOLDER / "anthropic").glob("*.sse"))}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    return b"data: %b\n\n" % json.dumps({"id": "chatcmpl-1", "model": "m", "choices": [choice]}).encode()


def called(index: int, arguments: str, **begun: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **begun, "function": {"name": begun.get("id"), "arguments": arguments}}]}


def events(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(told) for each in sse.events(data) if (told := sse.data_of(each)) is not None]


def spoken(*chunks: bytes) -> list[dict[str, Any]]:
    speech = AnthropicSpeech("req_1")
    speech.begin(None)
    return events(b"".join([speech.sent(each) for each in chunks]) + speech.ended(b"data: [DONE]\n\n"))


def blocks(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Kind and text of each block, which must have been opened, fed and closed in order."""
    said: list[tuple[str, str]] = []
    is_open = False
    for event in told:
        match event["type"]:
            case "content_block_start":
                assert not is_open
                assert event["index"] == len(said)
                said.append((event["content_block"]["type"], ""))
                is_open = True
            case "content_block_delta":
                assert is_open
                kind, text = said[-1]
                delta = event["delta"]
                said[-1] = (
                    kind,
                    text + next((delta[name] for name in ("text", "thinking", "partial_json") if name in delta), ""),
                )
            case "content_block_stop":
                assert is_open
                is_open = False
    assert not is_open
    return said


@pytest.mark.parametrize("name", CHATS)
def test_a_recorded_chat_is_told_whole_and_ends_once(name: str) -> None:
    speech = AnthropicSpeech("req_1")
    speech.begin(None)
    told = events(b"".join([speech.sent(each) for each in sse.events(CHATS[name].replace(b"\r\n", b"\n"))]))

    assert "message_stop" not in [event["type"] for event in told]
    told += events(speech.ended(b"data: [DONE]\n\n"))
    assert [event["type"] for event in told][:1] == ["message_start"]
    assert [event["type"] for event in told][-2:] == ["message_delta", "message_stop"]
    assert told[-2]["delta"]["stop_reason"] in ("end_turn", "max_tokens", "tool_use")
    assert "".join(text for kind, text in blocks(told) if kind in ("text", "tool_use"))


def test_thoughts_text_and_tools_are_blocks_one_after_the_other() -> None:
    told = spoken(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm"}),
        chunk({"content": "Yes"}),
        chunk(called(0, "", id="a")),
        chunk(called(0, '{"x":')),
        chunk(called(0, "1}")),
        chunk(called(1, "{}", id="b")),
        chunk({}, "tool_calls"),
    )

    assert blocks(told) == [("thinking", "Hm"), ("text", "Yes"), ("tool_use", '{"x":1}'), ("tool_use", "{}")]
    assert told[-2]["delta"]["stop_reason"] == "tool_use"


def test_arguments_of_several_calls_that_are_mixed_up_are_no_answer() -> None:
    with pytest.raises(Broken):
        spoken(chunk(called(0, "{", id="a")), chunk(called(1, "{}", id="b")), chunk(called(0, "}")))


def test_signed_thinking_ends_its_block_with_the_signature() -> None:
    block = {"index": 0, "type": "thinking", "thinking": "Hm", "signature": "sig"}
    told = spoken(
        chunk({"reasoning_content": "Hm"}), chunk({"thinking_blocks": [block]}), chunk({"content": "x"}, "stop")
    )

    assert blocks(told) == [("thinking", "Hm"), ("text", "x")]
    assert {"type": "signature_delta", "signature": "sig"} in [event.get("delta") for event in told]


def test_a_stop_sequence_and_the_usage_are_told_at_the_end() -> None:
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    }
    told = spoken(
        chunk({"content": "x"}),
        chunk({}, "stop", stop_reason="END"),
        b'data: {"choices":[],"usage":%b}\n\n' % json.dumps(usage).encode(),
    )

    assert told[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert told[-2]["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 8,
        "output_tokens": 3,
    }


def test_further_choices_are_not_mixed_in() -> None:
    other = b'data: {"id":"c","choices":[{"index":1,"delta":{"content":"other"}}]}\n\n'

    assert blocks(spoken(chunk({"content": "x"}), other, chunk({}, "stop"))) == [("text", "x")]


def test_what_keeps_a_stream_warm_is_a_ping() -> None:
    told = spoken(chunk({"content": "x"}), b": ping\n\n", chunk({}, "stop"))

    assert {"type": "ping"} in told


def test_an_answer_that_says_nothing_is_a_message_all_the_same() -> None:
    assert [event["type"] for event in spoken()] == ["message_start", "message_delta", "message_stop"]


def test_errors_have_anthropic_s_shape() -> None:
    speech = AnthropicSpeech("req_1")

    assert json.loads(speech.failed(NotFound("no", param="model"))) == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "no", "code": "not_found", "param": "model"},
        "request_id": "req_1",
    }
    assert speech.broken(Overloaded("late")).startswith(
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"'
    )


@pytest.mark.parametrize("name", RELAYED)
def test_a_relayed_stream_that_is_ended_anywhere_has_closed_what_it_has_opened(name: str) -> None:
    parts = sse.events(RELAYED[name])
    for shown in range(1, len(parts)):
        seen = Shown()
        begun = b"".join([seen.add(part) for part in parts[:shown]])

        told = events(begun + seen.closing({"output_tokens": 3}))

        blocks(told)
        assert told[-1] == {"type": "message_stop"}
        assert told[-2]["usage"] == {"output_tokens": 3}
