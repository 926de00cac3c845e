"""The official SDK holds sessions through the gateway, with the built-in provider."""

from __future__ import annotations

from openai import AsyncOpenAI

from tests.conftest import House


async def test_the_sdk_asks_and_is_answered(house: House, sdk: AsyncOpenAI) -> None:
    said: list[str] = []
    async with sdk.realtime.connect(model="demo") as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Good day"}]}
        await connection.conversation.item.create(item=item)  # type: ignore[arg-type]
        await connection.response.create()
        async for event in connection:
            said.append(event.type)
            if event.type == "response.output_text.done":
                assert event.text == "This is the demo provider of llmgw. You said: Good day"
            if event.type == "response.done":
                break

    assert said[:4] == ["session.created", "session.updated", "conversation.item.created", "response.created"]
    record = await house.only_record()
    assert (record["status"], record["outcome"], record["operation"]) == (101, "upstream", "realtime")
    assert record["session"] == {"closed_by": "client", "close_code": 1000, "responses": 1}
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (2, 11, False)
    assert record["cost_nano_usd"] == 2 * 1000 + 11 * 2000
    assert house.account() == (24_000, 0)
