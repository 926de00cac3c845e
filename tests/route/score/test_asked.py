"""What of a call is scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.route.score.asked import asked
from gateway.route.score.prompt import Prompt

SYSTEM = {"role": "system", "content": "You sort invoices."}
USER = {"role": "user", "content": "Which is it?"}


def prompt(fields: Mapping[str, Any], *, has: frozenset[str] = frozenset()) -> Prompt:
    call = Call("1", Operation.CHAT, 0.0, "auto", b"", fields, has=has)
    return asked(call, route="invoices")


def test_the_text_is_what_the_user_said_last() -> None:
    reply = {"role": "assistant", "content": "This one."}

    found = prompt({"messages": [SYSTEM, {"role": "user", "content": "Hello"}, reply, USER]})

    assert (found.text, found.route, found.messages) == ("Which is it?", "invoices", 3)


def test_the_category_is_the_same_while_only_the_user_changes() -> None:
    other = {"role": "user", "content": "And this?"}

    assert prompt({"messages": [SYSTEM, USER]}).category == prompt({"messages": [SYSTEM, other]}).category


def test_formats_instructions_and_features_in_use_are_categories_of_their_own() -> None:
    fields = {"messages": [SYSTEM, USER]}
    developer = {"role": "developer", "content": "You sort letters."}

    categories = {
        prompt(fields).category,
        prompt({**fields, "response_format": {"type": "json_object"}}).category,
        prompt(fields, has=frozenset({"tools"})).category,
        prompt({"messages": [developer, USER]}).category,
        prompt({"messages": [USER]}).category,
    }

    assert len(categories) == 5
    assert not any("invoices" in category for category in categories)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"prompt": "Once"}, "Once"),
        ({"prompt": ["a", "b", 3]}, "a\nb"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url"}]}]}, "See"),
        ({"messages": [{"role": "user", "content": None}]}, ""),
        ({"messages": [{"role": ["user"], "content": "x"}, 7, None]}, ""),
        ({"messages": [{"role": "system", "content": "\ud800"}]}, ""),
        ({}, ""),
    ],
)
def test_any_shape_is_read(fields: Mapping[str, Any], text: str) -> None:
    assert prompt(fields).text == text
