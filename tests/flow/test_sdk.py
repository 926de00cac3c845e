"""The official openai SDK works through the gateway as if the gateway were not there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Event, Say, Status

HELLO = "This is the demo provider of llmgw. You said: hi"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


async def test_chat(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hi"}], n=2)

    assert [choice.message.content for choice in answer.choices] == [HELLO, HELLO]
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_a_stream_adds_up_to_the_whole_answer(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hi"}], stream=True)

    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == HELLO
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_a_tool_loop(sdk: AsyncOpenAI) -> None:
    question: Any = [{"role": "user", "content": "use weather"}]
    asked = await sdk.chat.completions.create(model="demo", messages=question, tools=[TOOL])
    call = _calls(asked)[0]
    assert json.loads(call.function.arguments) == {"city": "demo"}

    done: Any = [*question, asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    answer = await sdk.chat.completions.create(model="demo", messages=done, tools=[TOOL])

    assert answer.choices[0].finish_reason == "stop"


async def test_a_streamed_tool_call(sdk: AsyncOpenAI) -> None:
    async with sdk.chat.completions.stream(
        model="demo",
        messages=[{"role": "user", "content": "use weather"}],
        tools=[TOOL],
    ) as stream:
        answer = await stream.get_final_completion()

    assert json.loads(_calls(answer)[0].function.arguments) == {"city": "demo"}


async def test_structured_output(sdk: AsyncOpenAI) -> None:
    schema: Any = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    answer = await sdk.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "hi"}],
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )

    assert json.loads(answer.choices[0].message.content or "") == {"n": 1}


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_embeddings(sdk: AsyncOpenAI, form: Any) -> None:
    answer = await sdk.embeddings.create(model="demo", input=["a b", "a c"], dimensions=8, encoding_format=form)

    assert len(answer.data) == 2
    assert answer.usage.prompt_tokens == 4
    if form == "float":
        assert len(answer.data[0].embedding) == 8


async def test_completions_and_models(sdk: AsyncOpenAI) -> None:
    answer = await sdk.completions.create(model="demo", prompt="Once", max_tokens=4)
    names = [model.id async for model in sdk.models.list()]
    model = await sdk.models.retrieve("demo")

    assert answer.choices[0].text
    assert names == ["demo", "ok"]
    assert model.id == "demo"


async def test_the_synchronous_client(house: House) -> None:
    def ask() -> str | None:
        with openai.OpenAI(base_url=f"{house.url}/v1", api_key=house.key, max_retries=0) as client:
            answer = client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hi"}])
            return answer.choices[0].message.content

    assert await asyncio.to_thread(ask) == HELLO


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
async def test_errors_are_the_sdk_s_own(
    sdk: AsyncOpenAI, provider: Chaosprov, status: int, kind: type[Exception]
) -> None:
    for _ in range(3):
        provider.will(Status(status, headers=(("Retry-After", "60"),)))

    with pytest.raises(kind):
        await sdk.chat.completions.create(model="ok", messages=[{"role": "user", "content": "hi"}])


async def test_a_wrong_key_and_an_unknown_model_are_the_sdk_s_own_errors(sdk: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await sdk.models.retrieve("nope")
    with pytest.raises(openai.AuthenticationError):
        await sdk.with_options(api_key="sk-wrong").models.list()


async def test_an_error_in_mid_stream_is_an_api_error(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), Event({"error": {"message": "overloaded"}}), DONE)
    stream = await sdk.chat.completions.create(model="ok", messages=[{"role": "user", "content": "hi"}], stream=True)

    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass


def _calls(answer: Any) -> Any:
    return answer.choices[0].message.tool_calls
