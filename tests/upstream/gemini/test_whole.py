"""Gemini's whole answers, embeddings and errors, in our terms."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from gateway.core.call import Operation
from gateway.core.errors import Rejected, Unavailable
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.gemini.dialect import Gemini
from gateway.upstream.dialects.openai import WholeAnswer
from tests.upstream.gemini.test_streams import BROKEN, SAID, STREAMS
from tests.upstream.translating import chat


def document(name: str) -> dict[str, Any]:
    """The whole answer that says what a stream says: its events as one."""
    whole: dict[str, Any] = {"candidates": []}
    for event in sse.events(STREAMS[name]):
        told = json.loads(sse.data_of(event) or b"{}")
        for candidate in told.pop("candidates", []):
            index = candidate.get("index", 0)
            if index == len(whole["candidates"]):
                whole["candidates"].append({"index": index, "content": {"parts": []}})
            mine = whole["candidates"][index]
            mine["content"]["parts"] += candidate.pop("content", {}).get("parts", [])
            mine |= candidate
        whole |= told
    return whole


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in BROKEN])
def test_a_whole_answer_says_what_its_stream_says(name: str) -> None:
    body = Gemini().translation(chat()).whole(json.dumps(document(name), indent=2).encode())

    told = json.loads(body)
    assert WholeAnswer(chat(), body).failure is None
    assert told["object"] == "chat.completion"
    for choice in told["choices"]:
        message, said = choice["message"], dict(SAID[name][choice["index"]])
        assert choice["finish_reason"] == said.pop("finish")
        assert (message["content"] or "") == said.pop("content")
        assert choice["logprobs"] == said.pop("logprobs", None)
        for call, expected in zip(message.pop("tool_calls", []), said.pop("tool_calls", []), strict=True):
            assert "index" not in call
            assert (call["id"], call["function"]["name"]) == (expected["id"], expected["name"])
            assert json.loads(call["function"]["arguments"]) == json.loads(expected["arguments"])
            assert call.get("extra_content") == expected.get("extra_content")
        assert {name: message.get(name) for name in said} == said


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", "upstream_invalid_response"),
        (b"[]", "upstream_invalid_response"),
        (b"{}", "upstream_invalid_response"),
        (b'{"candidates": []}', "upstream_invalid_response"),
        (b'{"error": {"code": 500}}', "upstream_error"),
        (b'{"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}', "upstream_invalid_tool_call"),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, code: str) -> None:
    with pytest.raises(Unavailable) as raised:
        Gemini().translation(chat()).whole(body)

    assert raised.value.code == code


def test_a_candidate_without_a_reason_to_end_was_cut_off() -> None:
    body = Gemini().translation(chat()).whole(b'{"candidates": [{"content": {"parts": [{"text": "Hal"}]}}]}')

    assert WholeAnswer(chat(), body).failure is not None


@pytest.mark.parametrize("name", STREAMS)
def test_of_every_beginning_is_told_what_can_be_read(name: str) -> None:
    body = json.dumps(document(name), ensure_ascii=False).encode()
    translation = Gemini().translation(chat())

    texts = [_text(translation.unfinished(body[:cut])) for cut in range(len(body) + 1)]

    assert all(texts[-1].startswith(text) for text in texts)
    assert texts[-1] == SAID[name][0].get("reasoning_content", "") + SAID[name][0]["content"]


def _text(body: bytes) -> str:
    choices = json.loads(body).get("choices") or [{"message": {}}]
    message = choices[0]["message"]
    return (message.get("reasoning_content") or "") + (message.get("content") or "")


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings(form: str) -> None:
    answer = {"embeddings": [{"values": [0.5, -1.25]}, {"values": [1, 2]}], "usageMetadata": {"promptTokenCount": 4}}
    call = chat(Operation.EMBEDDINGS, input=["a", "b"], encoding_format=form)

    told = json.loads(Gemini().translation(call).whole(json.dumps(answer).encode()))

    vectors = [each["embedding"] for each in told["data"]]
    if form == "base64":
        vectors = [list(struct.unpack("<2f", base64.b64decode(vector))) for vector in vectors]
    assert vectors == [[0.5, -1.25], [1, 2]]
    assert [each["index"] for each in told["data"]] == [0, 1]
    assert told["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_embeddings_without_a_count_have_none() -> None:
    told = Gemini().translation(chat(Operation.EMBEDDINGS, input="a")).whole(b'{"embeddings": [{"values": [1.0]}]}')

    assert "usage" not in json.loads(told)


QUOTA = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "x"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"},
        ],
    }
}


@pytest.mark.parametrize("body", [QUOTA, [QUOTA]], ids=["one", "list"])
def test_google_says_when_to_try_again(body: Any) -> None:
    error = Gemini().failure(429, json.dumps(body).encode(), {}, secrets=(), now=0.0)

    assert isinstance(error, Unavailable)
    assert (error.code, error.retry_after) == ("upstream_rate_limited", 34.074824224)


def test_google_s_words_about_a_call_are_passed_on_without_secrets() -> None:
    body = {"error": {"code": 400, "message": "Bad AIzaSecret: contents is empty", "status": "INVALID_ARGUMENT"}}

    error = Gemini().failure(400, json.dumps([body]).encode(), {}, secrets=("AIzaSecret",), now=0.0)

    assert isinstance(error, Rejected)
    assert (error.status, error.code) == (400, "upstream_invalid_argument")
    assert error.message == "Bad ***: contents is empty"


def test_a_key_that_google_does_not_know_is_ours_to_mend() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    body = {"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT", "details": details}}

    assert Gemini().failure(400, json.dumps(body).encode(), {}, secrets=(), now=0.0).code == "upstream_auth_failed"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error": "x"}', b'[{"error": {"details": [5, {"reason": []}]}}]']
)
def test_an_error_that_says_nothing_is_an_error_all_the_same(body: bytes) -> None:
    assert Gemini().failure(503, body, {}, secrets=(), now=0.0).code == "upstream_error"
    assert Gemini().failure(400, body, {}, secrets=(), now=0.0).code == "upstream_400"
