"""Clients of OpenAI's responses work through the gateway with whoever answers, by the official SDK's strictest reading."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.conftest import House

HELLO = "This is the demo provider of llmgw. You said: hi"
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


@pytest.fixture
async def sdk(house: House) -> AsyncIterator[AsyncOpenAI]:
    """The official client, which takes nothing that is not as its types say."""
    async with AsyncOpenAI(
        base_url=f"{house.url}/v1", api_key=house.key, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


async def test_a_response(sdk: AsyncOpenAI) -> None:
    answer = await sdk.responses.create(model="demo", input="hi", instructions="Be kind.")

    assert answer.output_text == HELLO
    assert (answer.status, answer.instructions) == ("completed", "Be kind.")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


async def test_a_stream_tells_its_events_in_openai_s_order(sdk: AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model="demo", input="hi", stream=True)

    events = [event async for event in stream]

    kinds = [event.type for event in events]
    assert list(dict.fromkeys(kinds)) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == HELLO
    assert last.response.usage is not None


async def test_a_conversation_goes_on_from_a_response(sdk: AsyncOpenAI) -> None:
    first = await sdk.responses.create(model="demo", input="weather please", tools=[WEATHER])
    call = first.output[0]
    assert call.type == "function_call"

    second = await sdk.responses.create(
        model="demo",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
        tools=[WEATHER],
    )

    assert second.output_text
    kept = await sdk.responses.retrieve(second.id)
    assert kept.output_text == second.output_text
    items = [item async for item in await sdk.responses.input_items.list(second.id, order="asc")]
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]
    await sdk.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(second.id)
