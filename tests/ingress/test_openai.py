"""A request on one of OpenAI's routes becomes a call: its body untouched, its credential apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.errors import InvalidRequest
from gateway.ingress.openai import OpenAIArrival, bearer
from gateway.ingress.request import Request

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def read(
    fields: Any,
    headers: dict[bytes, bytes] | None = None,
    *,
    operation: Operation = Operation.CHAT,
    strict: bool = False,
) -> Call:
    request = Request(method=b"POST", target=b"/", headers=headers or {}, body=json.dumps(fields).encode())
    return OpenAIArrival(request, operation=operation, id="req_1").read(strict=strict)


def test_a_call_keeps_the_body_and_names_what_it_is_about() -> None:
    headers = {
        b"x-llmgw-tags": b" a, b,,a",
        b"x-llmgw-conversation": b"c1",
        b"x-llmgw-template": b"t@2",
        b"idempotency-key": b"i" * 256,
    }
    fields = CHAT | {"stream": True, "stream_options": {"include_usage": True}, "n": 2, "x": "é"}

    call = read(fields, headers)

    assert (call.id, call.operation, call.model, call.fields) == ("req_1", Operation.CHAT, "m", fields)
    assert call.body == json.dumps(fields).encode()
    assert (call.stream, call.wants_usage, call.has) == (True, True, frozenset({"n"}))
    assert (call.tags, call.conversation, call.template, call.idempotency_key) == (
        ("a", "b", "a"),
        "c1",
        "t@2",
        "i" * 256,
    )


@pytest.mark.parametrize(
    "options", [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": False}}]
)
def test_usage_is_not_wanted_unless_it_is_asked_for(options: dict[str, Any]) -> None:
    assert not read(CHAT | options).wants_usage


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer sk-1", "sk-1"),
        (b"bearer  sk-1 ", "sk-1"),
        (b"BEARER a  b", "a  b"),
        (b"Bearer ", None),
        (b"Bearer", None),
        (b"Basic eDp5", None),
        (b"", None),
        (b"sk-1", None),
        ("Bearer clé".encode(), None),
        (None, None),
    ],
)
def test_a_credential_is_a_bearer_token_in_ascii_or_none(value: bytes | None, token: str | None) -> None:
    secret = bearer({} if value is None else {b"authorization": value})

    assert (secret.reveal() if secret else None) == token


@pytest.mark.parametrize(
    ("operation", "fields", "code", "param"),
    [
        (Operation.CHAT, [], "invalid_json", None),
        (Operation.CHAT, CHAT | {"model": None}, "missing_required_parameter", "model"),
        (Operation.CHAT, CHAT | {"model": ""}, "missing_required_parameter", "model"),
        (Operation.CHAT, CHAT | {"model": 5}, "invalid_type", "model"),
        (Operation.CHAT, CHAT | {"model": []}, "invalid_type", "model"),
        (Operation.CHAT, {"model": "m"}, "missing_required_parameter", "messages"),
        (Operation.COMPLETION, {"model": "m"}, "missing_required_parameter", "prompt"),
        (Operation.COMPLETION, {"model": "m", "prompt": 5}, "invalid_type", "prompt"),
        (Operation.EMBEDDINGS, {"model": "m"}, "missing_required_parameter", "input"),
        (Operation.EMBEDDINGS, {"model": "m", "input": {}}, "invalid_type", "input"),
        (Operation.EMBEDDINGS, {"model": "m", "input": []}, "empty_array", "input"),
        (Operation.EMBEDDINGS, {"model": "m", "input": "x", "stream": True}, "invalid_value", "stream"),
    ],
)
def test_what_is_missing_or_wrong_is_named(operation: Operation, fields: Any, code: str, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(fields, operation=operation)

    assert (refused.value.code, refused.value.param) == (code, param)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({b"content-type": b"application/json"}, None),
        ({b"content-type": b"application/json; charset=UTF-8"}, None),
        ({b"content-type": b'application/json;charset="utf-8"'}, None),
        ({b"content-type": b"Application/JSON; version=1"}, None),
        ({b"content-encoding": b"identity"}, None),
        ({b"content-type": b"text/plain"}, "unsupported_media_type"),
        ({b"content-type": b""}, "unsupported_media_type"),
        ({b"content-type": b"application/jsonp"}, "unsupported_media_type"),
        ({b"content-type": b"application/json; charset=utf-16"}, "unsupported_media_type"),
        ({b"content-type": b"application/json; charset=utf-16; charset=utf-8"}, "unsupported_media_type"),
        ({b"content-encoding": b"gzip"}, "unsupported_encoding"),
        ({b"content-encoding": b"gzip, gzip"}, "unsupported_encoding"),
        ({b"content-encoding": b"foo"}, "unsupported_encoding"),
        ({b"idempotency-key": b"i" * 257}, "idempotency_key_too_long"),
        ({b"idempotency-key": b""}, "idempotency_key_too_long"),
        ({b"x-llmgw-template": b""}, "invalid_value"),
    ],
)
def test_headers_say_what_the_body_is(headers: dict[bytes, bytes], code: str | None) -> None:
    if code is None:
        read(CHAT, headers)
        return
    with pytest.raises(InvalidRequest) as refused:
        read(CHAT, headers)

    assert refused.value.code == code


def test_a_strict_policy_refuses_a_field_nobody_knows() -> None:
    read(CHAT | {"foo": 1})

    with pytest.raises(InvalidRequest):
        read(CHAT | {"foo": 1}, strict=True)
