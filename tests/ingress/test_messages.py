"""The shape of a chat's messages (rows C): what we act on is judged, what only providers act on passes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InvalidRequest
from gateway.ingress import messages

USER = {"role": "user", "content": "x"}


def asks(*ids: str) -> dict[str, Any]:
    calls = [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(id: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": "1"}


def each(*values: Any) -> tuple[Any, ...]:
    return values


def part(kind: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": kind, kind: {}}]}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([USER], set()),
        (
            [{"role": "developer", "content": "x"}, {"role": "system", "content": [{"type": "text", "text": "x"}]}],
            set(),
        ),
        ([USER | {"name": "Ann-1"}, USER | {"name": None}, USER | {"anything": {"else": 1}}], set()),
        ([part("image_url"), part("input_audio"), part("file")], {"image", "audio", "file"}),
        ([part("video_url")], {"image"}),
        ([USER, asks("a", "b"), result("b"), result("a"), USER], set()),
        ([asks("a"), result("a"), asks("a"), result("a")], set()),
        ([{"role": "assistant", "content": None}, {"role": "assistant"}, USER], set()),
        ([{"role": "assistant", "content": "x", "tool_calls": None}, USER], set()),
        ([{"role": "assistant", "content": [{"type": "refusal", "refusal": "x"}]}], set()),
        ([USER] * messages.MAX_MESSAGES, set()),
    ],
)
def test_a_chat_is_read_and_what_it_uses_is_named(given: list[Any], found: set[str]) -> None:
    assert messages.features({"messages": given}) == found


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        (None, "missing_required_parameter", "messages"),
        ({}, "missing_required_parameter", "messages"),
        ("x", "missing_required_parameter", "messages"),
        ([], "empty_array", "messages"),
        ([USER] * (messages.MAX_MESSAGES + 1), "too_many_messages", "messages"),
        (["x"], "invalid_value", "messages[0].role"),
        ([USER, None], "invalid_value", "messages[1].role"),
        ([{"content": "x"}], "invalid_value", "messages[0].role"),
        *(
            ([{"role": role, "content": "x"}], "invalid_value", "messages[0].role")
            for role in each("root", "SYSTEM", "", 5, None, [], {}, ["user"], {"user": 1}, True)
        ),
        *(
            ([{"role": "user", "content": content}], "invalid_value", "messages[0].content")
            for content in each(
                None, 5, True, {}, [], ["x"], [{"type": "x"}], [{}], [{"type": []}], [{"type": {}}], [[]]
            )
        ),
        ([{"role": "user"}], "invalid_value", "messages[0].content"),
        ([{"role": "tool", "tool_call_id": "a", "content": "1"}], "invalid_tool_sequence", "messages[0]"),
        ([asks("a"), result(None)], "invalid_tool_sequence", "messages[1]"),
        ([asks("a"), result([])], "invalid_tool_sequence", "messages[1]"),
        ([asks("a"), result("b")], "invalid_tool_sequence", "messages[1]"),
        ([asks("a"), result("a"), result("a")], "invalid_tool_sequence", "messages[2]"),
        ([USER, asks("a"), USER], "invalid_tool_sequence", "messages[1].tool_calls"),
        ([USER, asks("a", "b"), result("a")], "invalid_tool_sequence", "messages[1].tool_calls"),
        ([asks("a"), asks("b"), result("b")], "invalid_tool_sequence", "messages[0].tool_calls"),
        ([asks("a", "a")], "invalid_value", "messages[0].tool_calls"),
        ([asks("")], "invalid_value", "messages[0].tool_calls"),
        *(
            ([{"role": "assistant", "tool_calls": calls}], "invalid_value", "messages[0].tool_calls")
            for calls in each(5, True, "x", {"id": "a"}, ["x"], [{"id": 5}], [{}], [None])
        ),
        *(
            ([USER | {"name": name}], "invalid_value", "messages[0].name")
            for name in each("", "a b", "a" * 65, "a\nb", "a\0", "<x>", 5, [], {}, True)
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(given: Any, code: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        messages.features({"messages": given})

    assert (refused.value.status, refused.value.code, refused.value.param) == (400, code, param)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.sampled_from(["user", "tool", "assistant", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "name", "tool_calls", "tool_call_id", "id", "type", "function"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, min_size=1, max_size=3))
def test_whatever_json_stands_there_is_read_or_refused_and_no_bug(given: list[Any]) -> None:
    try:
        found = messages.features({"messages": given})
    except InvalidRequest:
        return
    assert found <= {"image", "audio", "file"}
