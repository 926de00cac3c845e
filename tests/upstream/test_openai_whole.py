"""A whole answer is passed on only when it is one, and nothing a provider may send breaks its reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.call import Call, Operation
from gateway.core.errors import Broken, UpstreamError
from gateway.core.usage import Usage
from gateway.upstream.dialects import openai

NAMES = st.sampled_from(
    "choices message text finish_reason content tool_calls function name arguments usage error data prompt_tokens refusal".split()
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "stop", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)
MESSAGES = st.dictionaries(NAMES, ANYTHING, max_size=6)


def call(operation: Operation = Operation.CHAT) -> Call:
    return Call(id="r", operation=operation, received=0.0, model="m", body=b"{}", fields={})


def chat(message: object, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **fields}


@given(answer=ANYTHING | st.builds(chat, MESSAGES), operation=st.sampled_from(Operation))
@example(answer=chat({"tool_calls": True}), operation=Operation.CHAT)
@example(answer=chat({"tool_calls": [{"function": "x"}]}), operation=Operation.CHAT)
def test_whatever_a_provider_sends_is_an_answer_or_an_error_of_the_provider(
    answer: object, operation: Operation
) -> None:
    try:
        whole = openai.WholeAnswer(call(operation), json.dumps(answer).encode())
    except UpstreamError:
        return
    assert all(isinstance(text, str) for text in whole.produced())


@pytest.mark.parametrize(
    ("operation", "answer", "produced"),
    [
        (Operation.CHAT, chat({"content": "hi"}), "hi"),
        (Operation.CHAT, chat({"content": None, "reasoning_content": "so", "refusal": "no"}), "sono"),
        (Operation.CHAT, chat({"content": [{"type": "text", "text": "hi"}]}), "hi"),
        (
            Operation.CHAT,
            chat({"content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}),
            "f{}",
        ),
        (Operation.CHAT, chat({"content": "", "tool_calls": [{"type": "custom", "custom": {}}]}), ""),
        (Operation.CHAT, chat({"content": "", "tool_calls": None}), ""),
        (Operation.COMPLETION, {"choices": [{"text": "hi", "finish_reason": "length"}]}, "hi"),
        (Operation.EMBEDDINGS, {"data": []}, ""),
    ],
)
def test_a_complete_answer_is_passed_on_byte_for_byte(operation: Operation, answer: object, produced: str) -> None:
    body = json.dumps(answer, indent=1).encode()

    whole = openai.WholeAnswer(call(operation), body)

    assert whole.body is body
    assert "".join(whole.produced()) == produced


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        (Operation.CHAT, b"", "upstream_invalid_response"),
        (Operation.CHAT, b"[]", "upstream_invalid_response"),
        (Operation.CHAT, b"{}", "upstream_invalid_response"),
        (Operation.CHAT, b'{"choices":[]}', "upstream_invalid_response"),
        (Operation.CHAT, b'{"choices":[null]}', "upstream_invalid_response"),
        (Operation.CHAT, b'{"choices":[{"text":"x","finish_reason":"stop"}]}', "upstream_invalid_response"),
        (Operation.COMPLETION, b'{"choices":[{"message":{},"finish_reason":"stop"}]}', "upstream_invalid_response"),
        (
            Operation.CHAT,
            b'{"choices":[{"message":{"content":7},"finish_reason":"stop"}]}',
            "upstream_invalid_response",
        ),
        (
            Operation.CHAT,
            b'{"choices":[{"message":{"tool_calls":[{"function":{"arguments":{}}}]},"finish_reason":"stop"}]}',
            "upstream_invalid_tool_call",
        ),
        (Operation.CHAT, b'{"error":{"message":"sk-canary"}}', "upstream_invalid_response"),
        (Operation.EMBEDDINGS, b'{"data":null}', "upstream_invalid_response"),
        (Operation.EMBEDDINGS, b'{"data":[],"error":"sk-canary"}', "upstream_invalid_response"),
    ],
)
def test_what_is_no_complete_answer_says_why_and_quotes_nobody(operation: Operation, body: bytes, code: str) -> None:
    with pytest.raises(UpstreamError) as failed:
        openai.WholeAnswer(call(operation), body)

    assert failed.value.code == code
    assert "canary" not in failed.value.message


def test_an_answer_that_was_cut_anywhere_is_refused() -> None:
    body = json.dumps(chat({"content": "hello"}, usage={"prompt_tokens": 1, "completion_tokens": 2})).encode()
    for cut in range(len(body)):
        with pytest.raises(UpstreamError):
            openai.WholeAnswer(call(), body[:cut])


def test_usage_is_read_from_every_operation() -> None:
    answer = chat({"content": "hi"}, usage={"prompt_tokens": 3, "completion_tokens": 4})
    assert openai.WholeAnswer(call(), json.dumps(answer).encode()).usage == Usage(3, 4)

    vectors = b'{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}'
    assert openai.WholeAnswer(call(Operation.EMBEDDINGS), vectors).usage == Usage(5, 0)


def test_an_answer_that_breaks_off_is_a_failure_that_keeps_what_it_used() -> None:
    body = b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'

    whole = openai.WholeAnswer(call(Operation.CHAT), body)

    assert whole.failure is not None
    assert (whole.failure.code, whole.is_complete, whole.usage) == ("upstream_truncated", False, Usage(3, 1))


class TestUnfinished:
    """A document whose rest nobody waited for: it is paid for, and never passed on."""

    @given(answer=ANYTHING | st.builds(chat, MESSAGES), cut=st.integers(0, 400))
    def test_nothing_that_a_provider_may_have_begun_breaks_its_reader(self, answer: object, cut: int) -> None:
        body = json.dumps(answer).encode()[:cut]

        unfinished = openai.UnfinishedAnswer(call(), body, Broken("cut"), length=500)

        assert unfinished.produced_length() == len("".join(unfinished.produced()))
        assert 0 < unfinished.produced_share <= 1

    def test_what_has_come_of_its_text_is_known_and_the_rest_by_its_length(self) -> None:
        body = json.dumps(chat({"role": "assistant", "content": "word " * 400})).encode()

        unfinished = openai.UnfinishedAnswer(call(), body[: len(body) // 2], Broken("cut"), length=len(body))

        (text,) = unfinished.produced()
        assert 900 < len(text) < 1100
        assert len(text) / unfinished.produced_share == pytest.approx(2000, rel=0.1)

    def test_a_usage_that_came_before_the_cut_is_the_provider_s_own_count(self) -> None:
        body = b'{"usage": {"prompt_tokens": 5, "completion_tokens": 7}, "choices": [{"message": {"content": "Hel'

        unfinished = openai.UnfinishedAnswer(call(), body, Broken("cut"), length=None)

        assert (unfinished.usage, unfinished.produced()) == (Usage(5, 7), ["Hel"])
