"""Azure OpenAI is asked at either of its URLs, and says in its own way what its filters have found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Body, Head, Json, Status

STREAM = (Path(__file__).parent.parent / "streams" / "azure.txt").read_bytes()
HELLO: Any = [{"role": "user", "content": "Say hello"}]
POLICY = """
providers:
  classic: {dialect: openai, base_url: "ROOT/openai/deployments/{model}", query: api-version=2024-10-21, ENDING}
  v1: {dialect: openai, base_url: "ROOT/openai/v1", ENDING}
models:
  classic: {use: classic/my-gpt, price: {in: 1, out: 2}}
  v1: {use: v1/my-gpt, price: {in: 1, out: 2}}
"""
PATHS = {
    "classic": "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
    "v1": "/openai/v1/chat/completions",
}


@pytest.fixture(autouse=True)
async def _adopted(house: House, provider: Chaosprov) -> None:
    ending = "key: azure-canary, auth: api-key, allow_private: true"
    root = provider.base_url.removesuffix("/v1")
    await house.adopt(POLICY.replace("ROOT", root).replace("ENDING", ending))


@pytest.mark.parametrize("model", PATHS)
async def test_both_urls_of_azure_work(sdk: AsyncOpenAI, provider: Chaosprov, model: str) -> None:
    message = {"role": "assistant", "content": "Hi"}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop",
        "content_filter_results": {"hate": {"filtered": False}},
    }
    provider.will(Json({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice]}))

    answer = await sdk.chat.completions.create(model=model, messages=HELLO)

    call = provider.calls[0]
    assert answer.choices[0].message.content == "Hi"
    assert (call.path, call.json["model"]) == (PATHS[model], "my-gpt")
    assert (call.header("api-key"), call.header("authorization")) == ("azure-canary", None)


@pytest.mark.parametrize("model", PATHS)
async def test_a_stream_whose_first_event_is_about_the_prompt(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, model: str
) -> None:
    provider.will(Head(headers=(("Content-Type", "text/event-stream"),)), Body(STREAM))

    stream = await sdk.chat.completions.create(model=model, messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]

    assert chunks[0].choices == []
    assert chunks[0].to_dict()["prompt_filter_results"] == [{"prompt_index": 0, "content_filter_results": {}}]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[1:]) == "Hi"
    record = await house.only_record()
    assert (record["status"], record["input_tokens"], record["output_tokens"]) == (200, 12, 3)


async def test_a_prompt_that_azure_filters_is_the_caller_s_to_mend(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"jailbreak": {"filtered": True}}}
    text = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    error = {
        "message": text,
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": inner,
    }
    provider.will(Json({"error": error}, status=400))

    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.chat.completions.create(model="v1", messages=HELLO)

    assert (raised.value.code, raised.value.param) == ("upstream_content_filter", "prompt")
    assert text in str(raised.value)
    assert len(provider.calls) == 1
    assert house.account() == (0, 0)


async def test_a_prompt_that_azure_filters_is_told_alike_where_only_the_inner_error_says_so(
    sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    error = {"message": "filtered", "code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}
    provider.will(Json({"error": error}, status=400))

    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.chat.completions.create(model="v1", messages=HELLO)

    assert raised.value.code == "upstream_content_filter"


async def test_an_answer_that_azure_filters_has_come_to_its_end(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    cut = STREAM.replace(b'"finish_reason":"stop"', b'"finish_reason":"content_filter"')
    provider.will(Head(headers=(("Content-Type", "text/event-stream"),)), Body(cut))

    stream = await sdk.chat.completions.create(model="v1", messages=HELLO, stream=True)
    reasons = [choice.finish_reason async for chunk in stream for choice in chunk.choices if choice.finish_reason]

    assert reasons == ["content_filter"]
    assert (await house.only_record())["status"] == 200


async def test_azure_says_when_to_try_again(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    body = b'{"error": {"code": "429", "message": "Requests have exceeded the token rate limit. Key azure-canary"}}'
    for _ in range(3):
        provider.will(Status(429, body, (("retry-after-ms", "10"),)))

    with pytest.raises(openai.RateLimitError) as raised:
        await sdk.chat.completions.create(model="v1", messages=HELLO)

    assert raised.value.code == "upstream_rate_limited"
    assert "canary" not in str(raised.value)
