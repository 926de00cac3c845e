"""What chats may look like, and no provider of another dialect refuses once it is written in its words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.deployment import Deployment, Provider
from gateway.upstream.dialects import DIALECTS
from tests.agents import rules
from tests.agents.test_fallbacks import DIALECTS as NAMES
from tests.agents.test_fallbacks import UPSTREAM
from tests.upstream.translating import chat

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
USER = {"role": "user", "content": "Hi"}
CALLED: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ODD: dict[str, list[dict[str, Any]]] = {
    "the assistant begins": [{"role": "system", "content": "x"}, {"role": "assistant", "content": "Hello!"}, USER],
    "nothing was said": [
        USER,
        {"role": "assistant", "content": ""},
        USER,
        {"role": "assistant", "content": " \n"},
        USER,
    ],
    "nothing but thoughts": [
        USER,
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "thinking_blocks": [{"type": "thinking"}]},
        USER,
    ],
    "a tool gave nothing": [
        USER,
        {"role": "assistant", "content": " ", "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "c1", "content": "", "is_error": True},
    ],
    "an id that is odd and long": [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [{**CALLED, "id": "functions.f:0" + "x" * 70}]},
        {"role": "tool", "tool_call_id": "functions.f:0" + "x" * 70, "content": "5"},
    ],
    "arguments that are no object": [
        USER,
        {"role": "assistant", "tool_calls": [{**CALLED, "function": {"name": "f", "arguments": "[1"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "5"},
        {"role": "system", "content": "Be brief."},
        USER,
    ],
}


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_conversation_is_well_in_every_dialect(odd: str, dialect: str) -> None:
    call = chat(messages=ODD[odd], tools=[TOOL], max_completion_tokens=5000, reasoning_effort="low")
    target = Deployment("p/m", Provider("p", dialect, host="api.openai.com"), UPSTREAM[dialect], None)

    outgoing = DIALECTS[dialect].request(call, target, None, now=0.0)

    sent = json.loads(outgoing.body)
    if dialect == "openai":  # whose clients' own words they are, told or not
        sent["messages"] = [{n: v for n, v in message.items() if n != "is_error"} for message in sent["messages"]]
    assert rules.faults(dialect, sent) == []
