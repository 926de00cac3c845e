"""The official openai SDK works through the gateway as if the gateway were not there."""

from __future__ import annotations

from openai import AsyncOpenAI

from tests.conftest import House


async def test_the_sdk_gets_a_whole_answer_from_the_demo_provider(house: House, sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hi"}])

    assert answer.choices[0].message.content == "This is the demo provider of llmgw. You said: hi"
    assert house.account()[1] == 0
