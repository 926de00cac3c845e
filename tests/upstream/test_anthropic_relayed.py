"""An agent's own bytes go to Anthropic, without what it would refuse because the last answers came from somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.ingress.anthropic.reading import chat_fields
from gateway.upstream.dialects.anthropic.dialect import Anthropic
from gateway.upstream.dialects.dialect import Outgoing

USER = {"role": "user", "content": "Hi"}
UNSIGNED = {"type": "thinking", "thinking": "Hm.", "signature": ""}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "5"}]}
CLEARS = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}


def budget(tokens: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": tokens}


def said(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def sent(
    *messages: dict[str, Any], model: str = "claude-sonnet-4-5", cap: int | None = None, **more: Any
) -> tuple[Outgoing, bytes]:
    """The request, and what the client sent."""
    asked = {"model": model, "max_tokens": 9000, "messages": list(messages), "x": 1, **more}
    native = json.dumps(asked).encode()
    fields, has = chat_fields(asked, strict=False)
    call = Call(
        id="r",
        operation=Operation.CHAT,
        received=0.0,
        model=model,
        body=json.dumps(fields).encode(),
        fields=fields,
        has=has,
        dialect="anthropic",
        native=native,
    )
    return Anthropic().request(call, Deployment("p/m", Provider("p", "anthropic"), model, None), cap, now=0.0), native


def body(outgoing: Outgoing) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(outgoing.body)
    return read


def test_thinking_that_nobody_has_signed_is_left_out_and_told() -> None:
    outgoing, native = sent(USER, said(UNSIGNED, {"type": "text", "text": "x"}), USER)

    assert body(outgoing) == json.loads(native) | {"messages": [USER, said({"type": "text", "text": "x"}), USER]}
    assert outgoing.dropped == ("messages[1].content",)


def test_a_turn_that_was_nothing_else_is_left_out_too() -> None:
    outgoing, _ = sent(USER, said(UNSIGNED), USER)

    assert body(outgoing)["messages"] == [USER, USER]


def test_signed_thinking_is_passed_on_byte_for_byte() -> None:
    outgoing, native = sent(USER, said(SIGNED, USE), RESULT, thinking=budget(4000), context_management=CLEARS)

    assert (outgoing.body, outgoing.dropped) == (native, ())


def test_a_loop_that_began_without_thinking_goes_on_without() -> None:
    asked: dict[str, Any] = {"thinking": budget(4000), "context_management": CLEARS}
    outgoing, _ = sent(USER, said(UNSIGNED, {"type": "text", "text": "x"}, USE), RESULT, **asked)

    assert asked.keys().isdisjoint(body(outgoing))
    assert set(outgoing.dropped) == {"thinking", "context_management", "messages[1].content"}
    again, _ = sent(USER, said({"type": "text", "text": "x"}), USER, **asked)
    assert asked.items() <= body(again).items()


@pytest.mark.parametrize(
    ("cap", "fits", "dropped"), [(5000, 4000, ()), (2000, 1999, ("thinking",)), (1000, None, ("thinking",))]
)
def test_a_budget_of_thoughts_is_less_than_the_cap(cap: int, fits: int | None, dropped: tuple[str, ...]) -> None:
    outgoing, _ = sent(USER, cap=cap, thinking=budget(4000))

    assert body(outgoing).get("thinking") == (None if fits is None else budget(fits))
    assert outgoing.dropped == dropped


def test_a_model_that_wants_a_budget_is_not_told_an_effort() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    asked: dict[str, Any] = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium", "format": form}}
    outgoing, _ = sent(USER, **asked)
    newer, native = sent(USER, model="claude-opus-4-8", **asked)

    assert body(outgoing)["thinking"] == budget(4096)
    assert body(outgoing)["output_config"] == {"format": form}
    assert outgoing.dropped == ()
    assert newer.body == native
