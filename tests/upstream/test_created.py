"""An answer says when it was made, also where its provider does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.upstream.dialects import DIALECTS
from tests.upstream.translating import chat

WHOLE: dict[str, Any] = {
    "anthropic": {"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"},
    "bedrock": {"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": "end_turn"},
    "gemini": {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]},
    "responses": {"status": "completed", "output": []},
}
IN_2026 = range(1_767_225_600, 4_000_000_000)


@pytest.mark.parametrize("dialect", WHOLE)
def test_a_whole_answer_says_when_it_was_made(dialect: str) -> None:
    translation = DIALECTS[dialect].translation(chat())

    assert translation is not None
    assert json.loads(translation.whole(json.dumps(WHOLE[dialect]).encode()))["created"] in IN_2026


def test_a_response_s_own_time_goes_before_ours() -> None:
    translation = DIALECTS["responses"].translation(chat())

    assert translation is not None
    told = translation.whole(json.dumps({**WHOLE["responses"], "created_at": 7}).encode())
    assert json.loads(told)["created"] == 7
