"""What a decision rests on is told without the prompt, and no more than it needs."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.core.call import Call, Operation
from gateway.core.tenant import Tenant
from gateway.route.basis import LARGEST, LONGEST, MOST_HEADERS, Basis
from gateway.route.conversation import conversation_of
from gateway.route.rules import Routes

ACME = Tenant("acme", "search", "key-1", "search-ci")


def call(content: str = "the prompt", **changes: Any) -> Call:
    fields = {"model": "auto", "messages": [{"role": "user", "content": content}]}
    return Call("req_1", Operation.CHAT, 0.0, "auto", orjson.dumps(fields), fields, **changes)


def test_features_counted_tokens_and_the_conversation_are_told_and_no_content() -> None:
    asked = call(has=frozenset({"tools", "image"}), headers={b"x-app": b"secret to no rule"})
    conversation = conversation_of(asked, ACME)

    told = Basis(asked, ACME, Routes((), {})).told(is_by_conversation=False, sent=7)

    assert told == {
        "has": ["image", "tools"],
        "tokens_in": 7,
        "headers": {},
        "conversation": conversation.id,
        "is_new": True,
        "is_bound": False,
        "bytes": len(asked.body),
    }
    assert b"prompt" not in orjson.dumps(told)


def test_only_headers_that_a_rule_asks_for_are_told_and_long_ones_not_at_all() -> None:
    headers = {b"x-app": b"a\xff", b"x-long": b"l" * (LONGEST + 1), b"x-other": b"o"}
    routes = Routes((), {}, headers=(b"x-absent", b"x-app", b"x-long"))

    told = Basis(call(headers=headers), ACME, routes).told(is_by_conversation=False, sent=None)

    assert told["headers"] == {"x-absent": None, "x-app": "a\xff"}


def test_no_more_headers_are_told_than_so_many() -> None:
    routes = Routes((), {}, headers=tuple(b"x-%d" % number for number in range(MOST_HEADERS + 5)))

    told = Basis(call(), ACME, routes).told(is_by_conversation=False, sent=None)["headers"]

    assert isinstance(told, dict)
    assert len(told) == MOST_HEADERS


def test_the_conversation_of_a_large_body_is_told_only_where_the_route_looked_at_it() -> None:
    basis = Basis(call("x" * LARGEST), ACME, Routes((), {}))

    assert basis.told(is_by_conversation=False, sent=None)["conversation"] is None
    assert basis.told(is_by_conversation=True, sent=None)["conversation"] == conversation_of(basis.call, ACME).id
