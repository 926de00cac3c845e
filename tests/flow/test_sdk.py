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
from tests.faults.steps import DONE, RESET, Event, Finish, Json, Say, Status, Step, Tool, Usage

HELLO = "This is the demo provider of llmgw. You said: hi"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


SAY_HELLO: Any = [{"role": "user", "content": "Say hello"}]


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


async def test_a_stream_s_chunks_are_the_provider_s(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"content": "Gr\u00fc\u00dfe"},
        {"content": None, "x_vendor": [1.5]},
    ]
    sent = [_chunk(delta, None) for delta in deltas] + [_chunk({}, "length")]
    provider.will(*(Event(chunk) for chunk in sent), DONE)

    stream = await sdk.chat.completions.create(model="ok", messages=SAY_HELLO, stream=True)

    assert [chunk.to_dict() async for chunk in stream] == sent


async def test_a_stream_of_several_choices(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(model="demo", messages=SAY_HELLO, stream=True, n=3)

    finished = [choice.index async for chunk in stream for choice in chunk.choices if choice.finish_reason]

    assert finished == [0, 1, 2]


async def test_log_probabilities_come_back(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    told = {"content": [{"token": "hi", "logprob": -0.25, "bytes": [104, 105], "top_logprobs": []}], "refusal": None}
    message = {"role": "assistant", "content": "hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": told}
    provider.will(Json({"id": "c", "object": "chat.completion", "created": 1, "model": "ok", "choices": [choice]}))

    answer = await sdk.chat.completions.create(model="ok", messages=SAY_HELLO, logprobs=True, top_logprobs=2)

    assert answer.choices[0].to_dict()["logprobs"] == told
    assert (provider.calls[0].json["logprobs"], provider.calls[0].json["top_logprobs"]) == (True, 2)


async def test_an_image_is_passed_on_by_reference(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    image = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/x.png", "detail": "low"}}
    question: Any = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]

    await sdk.chat.completions.create(model="ok", messages=question)

    assert provider.calls[0].json["messages"] == question


async def test_a_tool_loop_with_a_provider(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Tool("weather", '{"city":"Z\u00fcrich"}'), Finish("tool_calls"), Usage(9, 5))
    question: Any = [{"role": "user", "content": "How is the weather?"}]
    asked = await sdk.chat.completions.create(model="ok", messages=question, tools=[TOOL])
    result = {"role": "tool", "tool_call_id": _calls(asked)[0].id, "content": "sunny"}

    done: Any = [*question, asked.choices[0].message, result]
    await sdk.chat.completions.create(model="ok", messages=done, tools=[TOOL])

    assert json.loads(_calls(asked)[0].function.arguments) == {"city": "Z\u00fcrich"}
    assert provider.calls[1].json["messages"][2] == result
    assert provider.calls[1].json["tools"] == [TOOL]


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


async def test_a_streamed_completion(sdk: AsyncOpenAI) -> None:
    stream = await sdk.completions.create(model="ok", prompt="Once", stream=True)

    read = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].text for chunk in read)
    assert read[-1].choices[0].finish_reason == "stop"


async def test_embeddings_of_a_provider(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    answer = await sdk.embeddings.create(model="ok", input="a", encoding_format="float")

    assert answer.data[0].embedding == [0.25, -0.5, 0.125]
    assert provider.calls[0].path == "/v1/embeddings"


async def test_completions_and_models(sdk: AsyncOpenAI) -> None:
    answer = await sdk.completions.create(model="demo", prompt="Once", max_tokens=4)
    names = [model.id async for model in sdk.models.list()]
    model = await sdk.models.retrieve("demo")

    assert answer.choices[0].text
    assert names == ["demo", "ok"]
    assert model.id == "demo"


async def test_the_synchronous_client(house: House) -> None:
    def ask() -> tuple[str | None, str]:
        with openai.OpenAI(base_url=f"{house.url}/v1", api_key=house.key, max_retries=0) as client:
            question: Any = [{"role": "user", "content": "hi"}]
            answer = client.chat.completions.create(model="demo", messages=question)
            stream = client.chat.completions.create(model="demo", messages=question, stream=True)
            return answer.choices[0].message.content, "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert await asyncio.to_thread(ask) == (HELLO, HELLO)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.InternalServerError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
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


@pytest.mark.parametrize("failure", [Status(400), Status(401), RESET], ids=["wrong", "our key", "ambiguous"])
async def test_the_sdk_s_own_retries_add_nothing_to_what_is_final(
    house: House, provider: Chaosprov, failure: Step
) -> None:
    for _ in range(3):
        provider.will(failure)

    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.key) as client:
        with pytest.raises(openai.APIStatusError):
            await asyncio.wait_for(client.chat.completions.create(model="ok", messages=SAY_HELLO), 3)

    assert len(provider.calls) == 1


async def test_an_error_in_mid_stream_is_an_api_error(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), Event({"error": {"message": "overloaded"}}), DONE)
    stream = await sdk.chat.completions.create(model="ok", messages=[{"role": "user", "content": "hi"}], stream=True)

    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass


def _chunk(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def _calls(answer: Any) -> Any:
    return answer.choices[0].message.tool_calls
