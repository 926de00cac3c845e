"""What a provider does not count is counted here, in whatever form it was generated: no answer is free by mistake."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Event, Finish, Json
from tests.flow.client import post
from tests.flow.raw import chat

WORDS = "one two three four five six"
FUNCTION = {"name": "weather", "arguments": '{"city":"Paris, in the north of France"}'}
PARTS = [{"type": "text", "text": WORDS}]
MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"content": WORDS},
    "text in parts": {"content": PARTS},
    "thinking in parts": {"content": [{"type": "thinking", "thinking": PARTS}]},
    "reasoning": {"reasoning_content": WORDS},
    "refusal": {"refusal": WORDS},
    "a tool call": {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": FUNCTION}]},
    "a function call of the old kind": {"function_call": FUNCTION},
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", MESSAGES)
async def test_whatever_was_generated_is_counted_when_the_provider_does_not(
    house: House, provider: Chaosprov, kind: str, stream: bool
) -> None:
    message = {"role": "assistant", **MESSAGES[kind]}
    if stream:
        choice = {"index": 0, "delta": message, "finish_reason": None}
        provider.will(Event({"choices": [choice]}), Finish(), DONE)
    else:
        message.setdefault("content", None)
        provider.will(Json({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))

    answer = await post(house, chat(stream=stream))

    assert answer.status_code == 200
    record = await house.only_record()
    assert record["estimated"] is True
    assert record["output_tokens"] >= 6
