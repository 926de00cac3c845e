"""Calls of one conversation are known by their beginning, and draws of a share come out as large as the share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.tenant import Tenant
from gateway.route.conversation import conversation_of, draw

ACME = Tenant("acme", "search", "k1", "app")
SYSTEM = {"role": "system", "content": "Be brief."}
FIRST = {"role": "user", "content": "Hello"}
REPLY = {"role": "assistant", "content": "Hi!"}
ASKS = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "5"}


def call(*messages: dict[str, Any], conversation: str | None = None, id: str = "r", **fields: Any) -> Call:
    return Call(
        id=id,
        operation=Operation.CHAT,
        received=0,
        model="auto",
        body=json.dumps({"messages": messages}).replace(": ", ":").encode(),
        fields={"messages": list(messages), **fields},
        conversation=conversation,
    )


def test_all_calls_that_begin_alike_are_one_conversation() -> None:
    first = conversation_of(call(SYSTEM, FIRST), ACME)
    later = conversation_of(call(SYSTEM, FIRST, REPLY, {"role": "user", "content": "And?"}), ACME)

    assert first.id == later.id
    assert (first.is_new, later.is_new) == (True, False)


def test_the_order_of_keys_does_not_matter() -> None:
    turned = {"content": "Hello", "role": "user"}

    assert conversation_of(call(FIRST), ACME).id == conversation_of(call(turned), ACME).id


@pytest.mark.parametrize(
    "other", [call(FIRST), call(SYSTEM, {"role": "user", "content": "Hello!"}), call(REPLY, FIRST)]
)
def test_another_beginning_is_another_conversation(other: Call) -> None:
    assert conversation_of(other, ACME).id != conversation_of(call(SYSTEM, FIRST), ACME).id


@pytest.mark.parametrize(
    "other",
    [Tenant("acme", "search", "k2", "app"), Tenant("acme", None, "k1", "app"), Tenant("acmesearch", "", "k1", "app")],
)
def test_nobody_else_is_in_it(other: Tenant) -> None:
    assert conversation_of(call(FIRST), other).id != conversation_of(call(FIRST), ACME).id


def test_the_clients_own_name_goes_before_the_messages() -> None:
    ids = {conversation_of(call(first, conversation="c-7"), ACME).id for first in (FIRST, SYSTEM)}

    assert len(ids) == 1
    assert conversation_of(call(FIRST, conversation="c-8"), ACME).id not in ids


def test_calls_without_messages_are_conversations_of_their_own() -> None:
    assert conversation_of(call(id="a"), ACME).id != conversation_of(call(id="b"), ACME).id


@pytest.mark.parametrize(
    ("asked", "is_new", "is_bound"),
    [
        (call(FIRST), True, False),
        (call(FIRST, REPLY, FIRST), False, False),
        (call(FIRST, ASKS, RESULT), False, True),
        (call(FIRST, ASKS, RESULT, FIRST), False, False),
        (call(FIRST, previous_response_id="resp_1"), False, True),
        (call(FIRST, {**REPLY, "thinking_blocks": [{"type": "thinking", "signature": "EqRk"}]}, FIRST), False, True),
        (call(FIRST, {**REPLY, "reasoning": {"encrypted_content": "gAAA"}}, FIRST), False, True),
        (call(FIRST, REPLY, {"role": "user", "content": '{"signature":"of the customer"}'}), False, False),
    ],
)
def test_a_tool_or_a_kept_answer_binds_it_to_the_provider(asked: Call, is_new: bool, is_bound: bool) -> None:
    found = conversation_of(asked, ACME)

    assert (found.is_new, found.is_bound) == (is_new, is_bound)


def test_text_that_is_no_unicode_does_no_harm() -> None:
    assert conversation_of(call(FIRST, conversation="\ud800"), ACME).id
    assert 0 <= draw("\ud800") < 1


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.5])
def test_shares_come_out_right(share: float) -> None:
    drawn = sum(draw("canary", "route", str(each)) < share for each in range(20_000))

    assert drawn / 20_000 == pytest.approx(share, abs=4 * (share / 20_000) ** 0.5)


def test_a_draw_is_the_same_for_the_same_names_and_independent_for_others() -> None:
    assert draw("a", "b") == draw("a", "b")
    assert draw("a", "b") != draw("ab", "") != draw("", "ab")

    both = sum(draw("canary", str(each)) < 0.5 and draw("trial", str(each)) < 0.5 for each in range(20_000))
    assert both / 20_000 == pytest.approx(0.25, abs=0.015)
