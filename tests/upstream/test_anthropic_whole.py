"""A complete message becomes a chat completion, and a failure one of our errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.errors import Rejected, Unavailable, UpstreamError
from gateway.upstream.dialects import openai
from gateway.upstream.dialects.anthropic.dialect import Anthropic
from gateway.upstream.dialects.anthropic.stream import Translated
from tests.upstream.test_openai_stream import call

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "Look: ", "citations": [{"type": "web_search_result_location", "url": "https://x"}]},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "text", "text": "so.", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Zürich"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 0, "output_tokens": 7},
}


def whole(message: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(Translated(created=7).whole(json.dumps(message).encode()))
    return told


def test_a_message_is_a_chat_completion() -> None:
    told = whole(MESSAGE)

    assert (told["id"], told["object"], told["created"], told["model"]) == (
        "msg_1",
        "chat.completion",
        7,
        "claude-sonnet-4-5",
    )
    assert told["usage"]["prompt_tokens"] == 15
    assert told["usage"]["prompt_tokens_details"]["cached_tokens"] == 5
    (choice,) = told["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "Look: so.",
        "refusal": None,
        "reasoning_content": "Hm.",
        "thinking_blocks": MESSAGE["content"][:2],
        "tool_calls": [
            {
                "id": "toolu_1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Zürich"}'},
            }
        ],
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {"url": "https://x", "title": "", "start_index": 0, "end_index": 0},
            }
        ],
    }


def test_a_message_that_does_not_say_why_it_ended_is_not_complete() -> None:
    body = Translated(created=7).whole(json.dumps({**MESSAGE, "stop_reason": None}).encode())

    assert not openai.WholeAnswer(call(), body).is_complete


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'"x"', b"{}", b'{"content":"x"}', b'{"content":[1]}', b'{"type":"error","error":{"type":"x"}}'],
)
def test_what_is_no_message_is_no_answer(body: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        Translated(created=7).whole(body)

    assert caught.value.code == "upstream_invalid_response"


def test_a_message_whose_parts_are_of_other_kinds_is_read_as_far_as_it_goes() -> None:
    odd = {
        **MESSAGE,
        "content": [{"type": "text", "text": 5, "citations": 7}, {"type": None}, {}],
        "usage": {"input_tokens": "x"},
    }

    told = whole(odd)

    assert told["choices"][0]["message"]["content"] == ""
    assert "usage" not in told


def test_the_beginning_of_a_message_is_never_complete_and_says_what_it_can() -> None:
    body = json.dumps(MESSAGE).encode()
    for end in range(len(body)):
        told = json.loads(Translated(created=7).unfinished(body[:end]))
        assert not any(choice["finish_reason"] for choice in told.get("choices", ()))

    told = json.loads(Translated(created=7).unfinished(body[: body.index(b"server_tool_use")]))
    assert told["choices"][0]["message"]["content"] == "Look: "


def failed(
    status: int, kind: str = "x", message: str = "m", headers: dict[bytes, bytes] | None = None
) -> UpstreamError:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}).encode()
    return Anthropic().failure(status, body, headers or {}, secrets=("sk-ant-canary",), now=0.0)


@pytest.mark.parametrize(
    ("status", "answered", "code", "retriable"),
    [
        (401, 502, "upstream_auth_failed", True),
        (402, 502, "upstream_auth_failed", True),
        (403, 502, "upstream_auth_failed", True),
        (429, 429, "upstream_rate_limited", True),
        (500, 502, "upstream_error", True),
        (529, 503, "upstream_error", True),
    ],
)
def test_failures_of_the_provider(status: int, answered: int, code: str, retriable: bool) -> None:
    error = failed(status, message="sk-ant-canary")

    assert isinstance(error, Unavailable)
    assert (error.status, error.code, error.retriable) == (answered, code, retriable)
    assert "canary" not in error.message


def test_what_the_provider_asks_us_to_wait_is_kept() -> None:
    assert failed(429, headers={b"retry-after": b"7"}).retry_after == 7
    assert failed(529, headers={b"retry-after": b"9"}).retry_after == 9


@pytest.mark.parametrize("status", [400, 404, 413])
def test_errors_in_the_call_itself_are_passed_on_without_secrets(status: int) -> None:
    error = failed(status, "invalid_request_error", "max_tokens: too large for sk-ant-canary")

    assert isinstance(error, Rejected)
    assert (error.status, error.code) == (status, "upstream_invalid_request_error")
    assert error.message == "max_tokens: too large for ***"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"text"}'])
def test_an_error_in_another_shape_is_one_all_the_same(body: bytes) -> None:
    assert Anthropic().failure(400, body, {}, secrets=(), now=0.0).code == "upstream_400"
