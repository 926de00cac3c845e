"""What a provider does not count is counted here, in whatever form it was generated: no answer is free by mistake."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.app import running
from gateway.meter.tokens import Tokens
from tests.conftest import POLICY, House, settings
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


@pytest.mark.parametrize("limited", [True, False])
async def test_where_calls_are_limited_the_vocabulary_is_read_before_anybody_calls(
    tmp_path: Path, provider: Chaosprov, monkeypatch: pytest.MonkeyPatch, limited: bool
) -> None:
    read: list[threading.Thread] = []
    monkeypatch.setattr(Tokens, "load", lambda *_: read.append(threading.current_thread()))
    (tmp_path / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    if limited:
        (tmp_path / "more.yaml").write_text("version: 1\ntenants: {default: {budget: [{usd: 5, per: day}]}}\n")

    async with running(settings(tmp_path, tmp_path / "data"), records_to=None):
        if limited:
            async with asyncio.timeout(5):
                while not read:
                    await asyncio.sleep(0.01)

    assert len(read) == limited
    assert threading.main_thread() not in read, "others are served meanwhile"


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
