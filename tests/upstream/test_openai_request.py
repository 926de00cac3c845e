"""A request is the client's own bytes, but for the few members that the gateway must change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import InvalidRequest
from gateway.ingress import json_body
from gateway.upstream.dialects import openai

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=6)
CHANGED = {"model", "stream_options", "llmgw"}


def call(body: bytes, *, stream: bool = True) -> Call:
    """As ingress reads it: from bytes that it has accepted."""
    fields = json_body.parse(body)
    return Call(
        id="r",
        operation=Operation.CHAT,
        received=0.0,
        model=fields["model"],
        body=body,
        fields=fields,
        stream=stream,
        wants_usage=(fields.get("stream_options") or {}).get("include_usage") is True,
    )


def deployment(upstream_model: str, *, stream_usage: bool = True) -> Deployment:
    provider = Provider("p", "openai", stream_usage=stream_usage)
    return Deployment(name="p/m", provider=provider, upstream_model=upstream_model, price=None)


def members(body: bytes) -> list[tuple[str, Any]]:
    """Names and values in their order; a name that stands twice is seen twice."""
    found: list[tuple[str, Any]] = json.JSONDecoder(object_pairs_hook=list).decode(body.decode())
    return found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=objects, options=objects, upstream=st.text(min_size=1), ascii=st.booleans(), spaces=st.booleans())
def test_a_request_is_changed_only_where_it_must_be(
    fields: dict[str, Any], options: dict[str, Any], upstream: str, ascii: bool, spaces: bool
) -> None:
    fields = {"llmgw": {"a": 1}, **fields, "model": "m", "stream": True, "stream_options": {**options, "x": 1}}
    fields["stream_options"].pop("include_usage", None)
    body = json.dumps(fields, ensure_ascii=ascii, indent=3 if spaces else None).encode()

    sent = openai.request_body(call(body), deployment(upstream))

    expected = {**fields, "model": upstream}
    expected["stream_options"] = {**fields["stream_options"], "include_usage": True}
    del expected["llmgw"]
    assert members(sent) == members(json.dumps(expected).encode())
    written = json.loads(body, parse_float=str, parse_int=str)
    kept = json.loads(sent, parse_float=str, parse_int=str)
    assert {k: v for k, v in kept.items() if k not in CHANGED} == {k: v for k, v in written.items() if k not in CHANGED}


def test_the_value_of_a_member_keeps_every_byte() -> None:
    kept = rb'[1.0e+00, -0, 1E4, "\u00e9\/", { "b":1 ,"a" : 2}, 123456789012345678901234567890]'
    asked = call(b'{"model": "m", "x" : ' + kept + b" }", stream=False)

    assert openai.request_body(asked, deployment("other")) == b'{"model":"other","x":' + kept + b"}"


def test_a_request_that_needs_no_change_is_the_client_s_own_bytes() -> None:
    asked = call(b'{ "model":"m", "stream_options":{"include_usage":true} }')

    assert openai.request_body(asked, deployment("m")) is asked.body


@pytest.mark.parametrize(
    ("body", "stream", "stream_usage", "sent"),
    [
        (b'{"model":"m"}', True, True, {"model": "m", "stream_options": {"include_usage": True}}),
        (b'{"model":"m"}', False, True, {"model": "m"}),
        (b'{"model":"m"}', True, False, {"model": "m"}),
        (
            b'{"model":"m","stream_options":null}',
            True,
            True,
            {"model": "m", "stream_options": {"include_usage": True}},
        ),
        (
            b'{"model":"m","stream_options":{"include_usage":false}}',
            True,
            True,
            {"model": "m", "stream_options": {"include_usage": True}},
        ),
        (b'{"llmgw":1,"model":"m"}', False, True, {"model": "m"}),
    ],
)
def test_usage_is_asked_for_on_streams_alone(
    body: bytes, stream: bool, stream_usage: bool, sent: dict[str, Any]
) -> None:
    changed = openai.request_body(call(body, stream=stream), deployment("m", stream_usage=stream_usage))

    assert json.loads(changed) == sent


TOKENS = st.sampled_from([*"{}[],: \n\t", '"a"', '"\\u0041"', '"é"', "1", "-0", "1.5e3", "true", "null", "1e5", "0.0"])


@given(st.lists(TOKENS, max_size=12).map("".join))
def test_what_ingress_accepts_can_be_sent(text: str) -> None:
    """Two parsers read a body; the second must not stumble over what the first let in."""
    body = b'{"model":"m","x":' + text.encode() + b"}"
    try:
        asked = call(body)
    except InvalidRequest:
        return
    sent = openai.request_body(asked, deployment("other"))

    assert json.loads(sent)["x"] == json.loads(body)["x"]
