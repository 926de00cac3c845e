"""Converse's streams say the same in chat's terms wherever they are cut, and none that was cut looks complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Broken, GatewayError, Rejected, Unavailable, UpstreamError
from gateway.upstream.dialects.bedrock.dialect import Bedrock
from gateway.upstream.dialects.bedrock.eventstream import Decoder
from gateway.upstream.dialects.bedrock.translation import Translation
from gateway.upstream.dialects.openai import WholeAnswer, read_usage
from tests.eventstream import event, exception
from tests.upstream.translating import chat, fed, gathered, is_complete

FOLDER = Path(__file__).parent.parent.parent / "streams" / "bedrock"
STREAMS = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.bin"))}
BROKEN = {"malformed": "upstream_invalid_tool_call", "throttled": "upstream_error"}
CALL = chat(stream=True)
START, STOP = event("messageStart", {"role": "assistant"}), event("messageStop", {"stopReason": "end_turn"})

THOUGHT = [
    {"type": "thinking", "thinking": "27 * 4 = 108", "signature": "EuYBCkQYAiJA"},
    {"type": "redacted_thinking", "data": "UkVEQUNURUQ="},
]
CALLS = [
    {
        "id": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
        "type": "function",
        "name": "weather",
        "arguments": '{"city": "Zürich", "limit": 1.50}',
    },
    {"id": "tooluse_x2", "type": "function", "name": "now", "arguments": "{}"},
]
SAID: dict[str, dict[str, Any]] = {
    "text": {"content": "Grüß Gott, 世界! 👋", "finish": "stop"},
    "tools": {"content": "I look it up.", "tool_calls": CALLS, "finish": "tool_calls"},
    "thinking": {
        "reasoning_content": "27 * 4 = 108",
        "thinking_blocks": THOUGHT,
        "content": "108",
        "finish": "stop",
    },
    "length": {"content": "Once", "finish": "length"},
    "guarded": {"content": "Sorry, no.", "finish": "content_filter"},
    "throttled": {"content": "Hal"},
    "malformed": {"content": "Let me"},
}
USED = {  # prompt, completion, cached, cache_write
    "text": (11, 9, 0, 0),
    "tools": (1456, 61, 1024, 12),
    "thinking": (30, 25, 0, 0),
    "length": (5, 1, 0, 0),
    "guarded": (5, 3, 0, 0),
}


def read(*pieces: bytes) -> tuple[bytes, UpstreamError | None]:
    return fed(Translation(CALL, 7), pieces)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_says_what_bedrock_has_said(name: str) -> None:
    told, error = read(STREAMS[name])
    answer = gathered(told)

    assert answer["choices"] == {0: {"role": "assistant", **SAID[name]}}
    assert (error.code if error else None) == BROKEN.get(name)
    assert answer["done"] is is_complete(CALL, told) is (name not in BROKEN)
    if name in USED:
        usage = read_usage(answer["usage"], CALL.operation)
        assert usage is not None
        assert (usage.input, usage.output, usage.cached, usage.details.cache_write) == USED[name]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_says_the_same_wherever_it_is_cut(name: str) -> None:
    stream = STREAMS[name]
    told, error = read(stream)

    for cut in range(1, len(stream)):
        again, failed = read(stream[:cut], stream[cut:])
        assert (again, repr(failed)) == (told, repr(error)), cut
    again, failed = read(*(stream[at : at + 1] for at in range(len(stream))))
    assert (again, repr(failed)) == (told, repr(error))


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in BROKEN])
def test_a_stream_that_was_cut_does_not_look_complete(name: str) -> None:
    """It is complete with its messageStop; what it has used follows."""
    stream = STREAMS[name]
    usage = stream.rindex(b":event-type\x07\x00\x08metadata") - len(b"\x0b") - 12

    for cut in range(len(stream)):
        told, _ = read(stream[:cut])
        assert is_complete(CALL, told) is (cut >= usage), cut
        assert (b"[DONE]" in told) is (cut >= usage)


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in BROKEN])
def test_a_whole_answer_says_what_its_stream_says(name: str) -> None:
    body = Bedrock().translation(chat()).whole(json.dumps(document(name)).encode())

    told, said = json.loads(body), dict(SAID[name])
    choice = told["choices"][0]
    message = choice["message"]
    assert WholeAnswer(chat(), body).failure is None
    assert choice["finish_reason"] == said.pop("finish")
    for call, expected in zip(message.pop("tool_calls", []), said.pop("tool_calls", []), strict=True):
        assert (call["id"], call["function"]["name"]) == (expected["id"], expected["name"])
        assert json.loads(call["function"]["arguments"]) == json.loads(expected["arguments"])
    assert {name: message[name] for name in said} == said
    usage = read_usage(told["usage"], CALL.operation)
    assert usage is not None
    assert (usage.input, usage.output, usage.cached, usage.details.cache_write) == USED[name]


def document(name: str) -> dict[str, Any]:
    """The whole answer that says what a stream says."""
    blocks: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {"output": {"message": {"role": "assistant", "content": []}}}
    for each in Decoder().feed(STREAMS[name]):
        told = json.loads(each.payload)
        index = told.get("contentBlockIndex", 0)
        if "start" in told:
            blocks[index] = {"toolUse": {**told["start"]["toolUse"], "input": ""}}
        _add(blocks.setdefault(index, {}), told.get("delta", {}))
        whole |= {name: told[name] for name in ("stopReason", "usage") if name in told}
    for _, block in sorted(blocks.items()):
        if use := block.get("toolUse"):
            use["input"] = json.loads(use["input"] or "{}")
    whole["output"]["message"]["content"] = [block for _, block in sorted(blocks.items())]
    return whole


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    if "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    for name, value in delta.get("reasoningContent", {}).items():
        thought = block.setdefault("reasoningContent", {})
        if name != "redactedContent":
            thought = thought.setdefault("reasoningText", {})
        thought[name] = thought.get(name, "") + value


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("throttlingException", "upstream_rate_limited"),
        ("validationException", "upstream_validation"),
        ("internalServerException", "upstream_error"),
        ("modelStreamErrorException", "upstream_error"),
        ("somethingNew", "upstream_error"),
    ],
)
def test_an_exception_in_the_place_of_an_answer(kind: str, expected: str) -> None:
    _, error = read(exception(kind, "AKIDEXAMPLE is over its limit"))

    assert isinstance(error, Rejected if kind == "validationException" else Unavailable)
    assert error.code == expected
    assert "AKID" not in error.message


def test_an_exception_in_the_middle_of_an_answer_breaks_it() -> None:
    told, error = read(START, exception("modelStreamErrorException", "x"), STOP)

    assert isinstance(error, Broken)
    assert not is_complete(CALL, told)


def test_what_follows_the_end_is_not_told() -> None:
    over = event("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}})
    late = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "more"}})

    told, error = read(START, STOP, over, late)

    assert error is None
    assert told.endswith(b"data: [DONE]\n\n")
    assert b"more" not in told


def test_an_event_of_a_kind_that_nobody_knows_is_passed_over() -> None:
    told, error = read(START, event("somethingNew", {"x": 1}), STOP)

    assert error is None
    assert is_complete(CALL, told)


def test_a_block_of_text_may_end_that_never_began() -> None:
    _, error = read(START, event("contentBlockStop", {"contentBlockIndex": 4}), STOP)

    assert error is None


@pytest.mark.parametrize("payload", ["x", {"delta": 5}, {"stopReason": 1}])
def test_what_is_no_event_of_bedrock_s_ends_the_answer(payload: Any) -> None:
    _, error = read(START, event("contentBlockDelta", payload))

    assert isinstance(error, Broken)
    assert error.code == "upstream_protocol_error"


def test_arguments_that_are_not_text_end_the_answer() -> None:
    begun = event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"name": "n", "toolUseId": "t"}}})
    odd = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": {"a": 1}}}})

    _, error = read(START, begun, odd)

    assert isinstance(error, Broken)
    assert error.code == "upstream_invalid_tool_call"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"output": {}}', b'{"output": {"message": {}}, "stopReason": 5}']
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(Unavailable):
        Bedrock().translation(chat()).whole(body)


def test_what_a_model_should_not_have_said_is_an_error() -> None:
    with pytest.raises(Unavailable, match="should have said") as raised:
        Bedrock().translation(chat()).whole(b'{"output": {"message": {}}, "stopReason": "malformed_tool_use"}')

    assert raised.value.code == "upstream_invalid_tool_call"


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in BROKEN])
def test_of_every_beginning_is_told_what_can_be_read(name: str) -> None:
    body = json.dumps(document(name), ensure_ascii=False).encode()
    translation = Bedrock().translation(chat())

    texts = []
    for cut in range(len(body) + 1):
        choices = json.loads(translation.unfinished(body[:cut])).get("choices") or [{"message": {}}]
        texts.append(choices[0]["message"].get("content") or "")

    assert all(texts[-1].startswith(text) for text in texts)
    assert texts[-1] == SAID[name]["content"]


@pytest.mark.parametrize(
    ("status", "kind", "code", "fault"),
    [
        (
            400,
            "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            "upstream_validation",
            "caller",
        ),
        (403, "AccessDeniedException", "upstream_auth_failed", "upstream"),
        (400, "UnrecognizedClientException", "upstream_auth_failed", "upstream"),
        (429, "ThrottlingException", "upstream_rate_limited", "upstream"),
        (400, "ServiceQuotaExceededException", "upstream_rate_limited", "upstream"),
        (404, "ResourceNotFoundException", "upstream_resource_not_found", "caller"),
        (408, "ModelTimeoutException", "upstream_error", "upstream"),
        (424, "ModelErrorException", "upstream_error", "upstream"),
        (503, "ServiceUnavailableException", "upstream_error", "upstream"),
        (500, "", "upstream_error", "upstream"),
    ],
)
def test_errors(status: int, kind: str, code: str, fault: str) -> None:
    body = b'{"message": "no AKIDEXAMPLE"}'
    headers = {b"x-amzn-errortype": kind.encode()}

    error: GatewayError = Bedrock().failure(status, body, headers, secrets=("AKIDEXAMPLE",), now=0.0)

    assert (error.code, error.fault) == (code, fault)
    assert "AKID" not in error.message


def test_an_error_may_be_named_in_its_body() -> None:
    body = b'{"__type": "com.amazon.coral.service#ThrottlingException", "message": null}'

    assert Bedrock().failure(429, body, {}, secrets=(), now=0.0).code == "upstream_rate_limited"
