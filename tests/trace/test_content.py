from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.prompt import Prompt
from gateway.core.tenant import Tenant
from gateway.trace.content import MOST, content
from gateway.trace.redact import KINDS
from gateway.trace.rules import Capture, TraceRules


class Answer:
    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)

    def produced(self) -> list[str]:
        return self._texts


def rules(limit: int = 100, *tenants: str) -> TraceRules:
    return TraceRules(
        capture=Capture.SPANS, capture_tenants=frozenset(tenants), capture_limit=limit, redact=tuple(KINDS)
    )


def kept(fields: dict[str, Any], *texts: str, limit: int = 100) -> Any:
    call = Call(id="1", operation=Operation.CHAT, received=0.0, model="m", body=b"{}", fields=fields)
    return content(call, Answer(*texts), Tenant("acme", "search", "key", ""), rules(limit))


def says(text: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def test_messages_and_answers_are_kept_redacted_in_their_shape() -> None:
    found = kept(says("I am ann@example.com"), "Write to bob@example.com", "no")

    assert found == {
        "input": [{"role": "user", "content": "I am [email]"}],
        "output": ["Write to [email]", "no"],
    }


def test_a_template_s_variables_are_kept_and_which_of_them_are_not_what_was_given() -> None:
    given = {"a": "ann@example.com", "b": ["x" * 101], "c": {"d": 1}, "sk-canary-canary-canary": "e", "f": [0] * 1001}
    prompt = Prompt("t", 1, "0" * 12, "only", variables=given)
    call = Call(id="1", operation=Operation.CHAT, received=0.0, model="m", body=b"{}", fields=says("hi"), prompt=prompt)

    found: Any = content(call, Answer(), Tenant("acme", "search", "key", ""), rules())

    assert found["variables"] == {
        "a": "[email]",
        "b": ["x" * 100 + "…"],
        "c": {"d": 1},
        "[secret]": "e",
        "f": [0] * 1000,
    }
    assert found["variables_cut"] == ["b", "[secret]", "f"]
    assert found["variables_redacted"] == ["a"]


@pytest.mark.parametrize("name", ["prompt", "input"])
def test_other_operations_have_their_words_in_other_places(name: str) -> None:
    assert kept({name: ["one", "ann@example.com"]})["input"] == ["one", "[email]"]


@pytest.mark.parametrize(
    ("tenants", "is_kept"), [((), True), (("acme",), True), (("acme/search",), True), (("acme/ads", "other"), False)]
)
def test_only_the_named_tenants_are_kept(tenants: tuple[str, ...], is_kept: bool) -> None:
    call = Call(id="1", operation=Operation.CHAT, received=0.0, model="m", body=b"{}", fields=says("hi"))

    assert (content(call, None, Tenant("acme", "search", "key", ""), rules(100, *tenants)) is not None) == is_kept
    assert content(call, None, None, rules(100, "acme")) is None


@pytest.mark.parametrize("before", range(80, 110))
def test_a_secret_that_the_limit_cuts_leaves_nothing(before: int) -> None:
    found = kept(says("x" * before + " sk-canary-canary-canary-canary"), "y" * before + " canary@example.com")

    assert "anary" not in repr(found)


def test_names_and_nested_texts_are_redacted_too() -> None:
    found = kept(says([{"type": "text", "text": "ann@example.com", "bob@example.com": [{"x": "eve@example.com"}]}]))

    assert "@" not in repr(found)


def test_long_texts_are_cut_and_say_so() -> None:
    (message,) = kept(says("x" * 5000))["input"]

    assert message["content"] == "x" * 100 + "…"


def test_of_a_long_conversation_the_newest_part_is_kept() -> None:
    messages = [{"role": "user", "content": f"{number:05d}" + "x" * 995} for number in range(2000)]

    found = kept({"messages": messages}, "the answer", limit=1000)

    assert found["output"] == ["the answer"]
    texts = [message["content"] for message in found["input"]]
    assert texts[-1] == messages[-1]["content"]
    assert texts[0] == "…"
    assert sum(len(text) for text in texts) <= MOST + 1000


def test_what_is_too_deep_is_left_out() -> None:
    deep: Any = "secret"
    for _ in range(60):
        deep = [deep]

    assert "secret" not in repr(kept(says(deep)))


def test_eight_mebibytes_are_looked_through_in_no_time() -> None:
    messages = [{"role": "user", "content": "a word, and another one@home. " * 500} for _ in range(600)]
    began = time.process_time()

    kept({"messages": messages}, limit=16_384)

    assert time.process_time() - began < 0.25
