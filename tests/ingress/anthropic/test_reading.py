"""What is wrong with a request for a message is told with its place, and what is right is read into chat's terms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.call import Call
from gateway.core.errors import InvalidRequest
from gateway.ingress.anthropic.arrival import MessagesArrival, credential
from gateway.ingress.anthropic.speech import AnthropicSpeech
from gateway.ingress.request import Request

BASE: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def read(fields: Any, *, strict: bool = False) -> Call:
    request = Request(method=b"POST", target=b"/", headers={}, body=json.dumps(fields).encode())
    return MessagesArrival(request, id="req_1", speech=AnthropicSpeech("req_1")).read(strict=strict)


def user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages.0.role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        (user({"text": "x"}), "messages.0.content.0.type"),
        (user({"type": "text"}), "messages.0.content.0"),
        (user({"type": "image"}), "messages.0.content.0.source"),
        (user({"type": "image", "source": {"type": "base64"}}), "messages.0.content.0.source"),
        (user({"type": "tool_result"}), "messages.0.content.0.tool_use_id"),
        ({"stream": "true"}, "stream"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
        ({"tools": [{"name": "f", "input_schema": {}}] * 2}, "tools"),
        ({"tool_choice": {"type": ["any"]}}, "tool_choice.type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"api_base": "http://x"}, "api_base"),
        ({"Model": "x"}, "Model"),
    ],
)
def test_mistakes(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(BASE | change)

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("change", "param"), [({"temprature": 1}, "temprature"), ({"temperature": 1.5}, "temperature")]
)
def test_a_strict_policy_judges_what_only_providers_act_on(change: dict[str, Any], param: str) -> None:
    read(BASE | change)

    with pytest.raises(InvalidRequest) as caught:
        read(BASE | change, strict=True)
    assert caught.value.param == param


def test_a_call_has_the_client_s_bytes_and_says_the_same_in_chat_s_terms() -> None:
    call = read(BASE | {"system": "s", "stream": True, "tools": [{"name": "f", "input_schema": {"type": "object"}}]})

    assert (call.dialect, call.stream, call.wants_usage, call.has) == ("anthropic", True, True, frozenset({"tools"}))
    assert call.native is not None
    assert json.loads(call.native)["system"] == "s"
    assert json.loads(call.body) == call.fields
    assert call.fields["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]


def test_what_is_used_is_named_for_routes() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://x"}}
    document = {"type": "document", "source": {"type": "url", "url": "https://x"}}
    form = {"format": {"type": "json_schema", "schema": {"type": "object"}}}

    assert read(BASE | user(image, document) | {"output_config": form}).has == {"image", "file", "json_schema"}


def test_a_picture_in_a_tool_s_result_is_one_too() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://x"}}
    call = read(BASE | user({"type": "tool_result", "tool_use_id": "t", "content": [image]}))

    assert call.has == {"image"}
    assert call.fields["messages"][0]["role"] == "tool"


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({b"x-api-key": b"a", b"authorization": b"Bearer b"}, "a"),
        ({b"authorization": b"Bearer b"}, "b"),
        ({b"x-api-key": b" "}, None),
        ({}, None),
    ],
)
def test_a_credential(headers: dict[bytes, bytes], token: str | None) -> None:
    secret = credential(headers)

    assert (secret.reveal() if secret else None) == token
