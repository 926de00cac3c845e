"""Work that was done is not ordered twice, and a deployment answers for its own failures only (R17)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Event, Finish, Json, Say, Step, Usage
from tests.flow.client import post
from tests.flow.raw import chat, connected, request

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
TOOL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"city": "Bern"}}}


def document(message: Any, finish: str = "stop") -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": USAGE}


GENERATED: dict[str, tuple[bool, tuple[Step, ...]]] = {
    "a document where a stream was asked for": (True, (Json(document({"role": "assistant", "content": "hi"})),)),
    "a stream where a document was asked for": (
        False,
        (Json(document({"content": "hi"}) | {"choices": "none"}),),
    ),
    "tool arguments that are no text": (
        False,
        (Json(document({"content": None, "tool_calls": [TOOL]}, "tool_calls")),),
    ),
    "content that is no text": (False, (Json(document({"content": 5})),)),
    "tool arguments that are no text, streamed": (
        True,
        (Event({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **TOOL}]}}]}), Finish(), DONE),
    ),
}


@pytest.mark.parametrize("what", GENERATED)
async def test_an_answer_that_was_generated_and_is_of_no_use_is_not_asked_for_again(
    house: House, provider: Chaosprov, what: str
) -> None:
    stream, steps = GENERATED[what]
    provider.will(*steps)

    answer = await post(house, chat(stream=stream))

    assert answer.status_code == 502
    assert len(provider.calls) == 1


async def test_the_gateway_s_own_limit_lets_no_deployment_rest(house: House, provider: Chaosprov) -> None:
    """Or else a single caller who asks for too much would take the deployment away from all others."""
    await house.adopt(
        f"providers: {{small: {{dialect: openai, base_url: '{provider.base_url}', allow_private: true,"
        " max_output_bytes: 20000}}\n"
        "models: {small: {use: small/ok}}"
    )
    for _ in range(3):
        provider.will(*(Say("x" * 5000),) * 6, Finish(), Usage(5, 6), DONE)
        answer = await post(house, chat("small", stream=True))
        assert "upstream_too_large" in answer.text

    assert (await post(house, chat("small"))).status_code == 200


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_reads_slowly_lets_no_deployment_rest(house: House, provider: Chaosprov) -> None:
    """Its stream ends when it has taken nothing for too long, but the provider was ready all the time."""
    await house.adopt(
        f"providers: {{brief: {{dialect: openai, base_url: '{provider.base_url}', allow_private: true,"
        " timeouts: {total: 500ms}}}\n"
        "models: {brief: {use: brief/ok}}"
    )
    for number in range(1, 4):
        provider.will(*(Say("x" * 100_000),) * 80, Finish(), Usage(5, 80), DONE)
        async with connected(house, receive_buffer=4096) as client:
            client.writer.write(request(house, chat("brief", stream=True), headers="connection: close\r\n"))
            await provider.ended(await provider.asked(number))
            await client.rest()

    assert (await post(house, chat("brief"))).status_code == 200
