"""Whatever JSON a client sends is a call or its own mistake, never a bug of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.call import FEATURES, Call, Operation
from gateway.core.errors import InvalidRequest
from gateway.ingress.openai import _PATHS, OpenAIArrival
from gateway.ingress.request import Request

WORDS = "user assistant tool system text image_url function required auto json_schema json_object weather c1 x".split()
FIELDS = """
model messages prompt input max_tokens max_completion_tokens n stream stream_options tools tool_choice functions user metadata
response_format stop parallel_tool_calls logprobs logit_bias temperature seed
""".split()
INNER = """
role content tool_calls tool_call_id id type function name parameters json_schema schema include_usage $ref arguments text
""".split()
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 2, -1, 2**70, 1.0, 1.5, 1e308])
    | st.sampled_from(WORDS)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=5),
    max_leaves=20,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=8).map(
    lambda fields: {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "input": "a",
        "prompt": "b",
        **fields,
    }
)


def read(fields: dict[str, Any], operation: Operation = Operation.CHAT, *, strict: bool = False) -> Call:
    request = Request(body=json.dumps(fields).encode())
    return OpenAIArrival(request, operation=operation, id="r").read(strict=strict)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=BODIES, operation=st.sampled_from([*_PATHS]), strict=st.booleans())
def test_any_json_is_a_call_or_the_client_s_mistake(fields: dict[str, Any], operation: Operation, strict: bool) -> None:
    try:
        call = read(fields, operation, strict=strict)
    except InvalidRequest:
        return
    assert call.fields == fields
    assert call.has <= FEATURES
    assert call.stream is (fields.get("stream") is True)
    if call.wants_usage:
        assert call.stream


def test_a_tool_s_result_cannot_ask_for_tools_and_so_hide_a_result_that_is_missing() -> None:
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}, {"id": "b"}]},
        {"role": "tool", "tool_call_id": "a", "content": "r", "tool_calls": [{"id": "z"}]},
        {"role": "tool", "tool_call_id": "z", "content": "r"},
    ]

    with pytest.raises(InvalidRequest) as refused:
        read({"model": "m", "messages": messages})

    assert refused.value.code == "invalid_tool_sequence"
