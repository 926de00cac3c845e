"""Only the last question is compared by meaning; everything else of a call must be equal."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cache.key import Target
from gateway.cache.semantic.eligible import REFUSALS, Question, partition, question

ASK = "How do I install PostgreSQL on Ubuntu?"
SYSTEM = {"role": "system", "content": "You help."}
PEPPER, SCOPE, CHAT = b"p" * 32, ("key", "acme", "", "k1"), Target("chat", "gpt-4o-mini", "default")


def call(text: Any = ASK, *before: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [*before, {"role": "user", "content": text}], **fields}


def part(fields: dict[str, Any], **changes: Any) -> bytes:
    asked = question(fields)
    assert isinstance(asked, Question)
    how: dict[str, Any] = {"scope": SCOPE, "target": CHAT, "embedder": "minilm", **changes}
    return partition(PEPPER, asked=asked, **how)


CHATTED = ({"role": "user", "content": "What is Postgres?"}, {"role": "assistant", "content": "A database."})

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("not_text", {"messages": []}),
    ("not_text", {"messages": "hello"}),
    ("not_text", call(None)),
    ("not_text", call([{"type": "text", "text": ASK}, {"type": "image_url", "image_url": {}}])),
    ("not_text", {"messages": [{"role": "tool", "content": "4", "tool_call_id": "c"}]}),
    ("has_tools", call(tools=[{"type": "function"}])),
    ("has_tools", call(mcp_servers=[{"type": "url"}])),
    ("needs_exactness", call(response_format={"type": "json_schema", "json_schema": {}})),
    ("needs_exactness", call(seed=7)),
    ("needs_exactness", call(n=2)),
    ("needs_exactness", call(logprobs=True)),
    ("needs_exactness", call(modalities=["text", "audio"])),
    ("too_hot", call(temperature=0.9)),
    ("too_long", call("word " * 100)),
    ("too_short", call("why?")),
    ("too_short", call("continue", *CHATTED)),
    ("points_back", call("How do I install it on Ubuntu Linux?", *CHATTED)),
    ("foreign_script", call("如何重置我的密码?")),
    ("foreign_script", call("كيف أعيد تعيين كلمة المرور؟")),
    ("time_bound", call("What is the latest Ubuntu release?")),
    ("personal", call("What is my account balance?")),
]


@pytest.mark.parametrize(("word", "fields"), REFUSED)
def test_what_cannot_be_compared_safely_is_not(word: str, fields: dict[str, Any]) -> None:
    assert question(fields) == word


def test_every_refusal_is_shown_here() -> None:
    assert {word for word, _ in REFUSED} == REFUSALS.keys()


@pytest.mark.parametrize(
    "fields",
    [
        call(),
        call([{"type": "text", "text": ASK}]),
        call(temperature=0),
        call("Où est la gare?"),
        call("Где мой пароль?"),
    ],
)
def test_a_short_question_is_compared(fields: dict[str, Any]) -> None:
    assert isinstance(question(fields), Question)


def test_a_personal_question_is_compared_where_only_its_asker_gets_the_answer() -> None:
    assert isinstance(question(call("What is my account balance?"), shared=False), Question)


def test_questions_in_other_words_are_in_one_part() -> None:
    assert part(call()) == part(call("How can I set up PostgreSQL on Ubuntu?"))


@pytest.mark.parametrize(
    "fields",
    [
        call(ASK, SYSTEM),
        call(ASK, *CHATTED),
        call(ASK, max_tokens=5),
        call(ASK, temperature=0.1),
        call(ASK, response_format={"type": "json_object"}),
        call(ASK, unknown=1),
        {"model": "m", "messages": [{"role": "user", "content": ASK, "name": "bob"}]},
        call("Comment est-ce que je peux installer PostgreSQL sur Ubuntu et pour quoi?"),
    ],
)
def test_anything_else_that_differs_is_another_part(fields: dict[str, Any]) -> None:
    assert part(fields) != part(call())


@pytest.mark.parametrize(
    "change",
    [
        {"scope": ("key", "acme", "", "k2")},
        {"scope": ("org", "acme")},
        {"target": Target("chat", "gpt-4o", "default")},
        {"target": Target("chat", "gpt-4o-mini", "other")},
        {"target": Target("chat", "gpt-4o-mini", "default", template="t@2")},
        {"target": Target("chat", "gpt-4o-mini", "default", "summary@2")},
        {"embedder": "other"},
    ],
)
def test_another_tenant_route_model_template_or_embedder_is_another_part(change: dict[str, Any]) -> None:
    assert part(call(), **change) != part(call())
