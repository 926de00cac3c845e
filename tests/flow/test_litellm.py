"""Providers behind the litellm SDK answer as if they spoke OpenAI's dialect, and nothing that the SDK makes up is passed on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, DONE, HANG, RESET, Body, Finish, Head, Json, Say, Status, Step, Tool, Usage

pytestmark = pytest.mark.filterwarnings("ignore")

SAY_HELLO: Any = [{"role": "user", "content": "Say hello"}]
KEY = "canary-of-mistral-4711"
POLICY = """
providers:
  mistral:
    dialect: litellm
    litellm: mistral
    key: {key}
    base_url: {provider}
    allow_private: true
    timeouts: {{connect: 5s, headers: 10s, first_token: 10s, idle: 10s, total: 20s}}
    retry: {{attempts: 1}}
  deepseek: {{dialect: litellm, litellm: deepseek, key: {key}, base_url: {provider}, allow_private: true}}
  anthropic: {{dialect: litellm, litellm: anthropic, key: {key}, base_url: "{root}", allow_private: true, retry: {{attempts: 1}}}}
  cohere: {{dialect: litellm, litellm: cohere_chat, key: {key}, base_url: "{root}/v2/chat", allow_private: true}}
  wayward: {{dialect: litellm, litellm: mistral, key: {key}, allow_private: true}}
models:
  mistral: {{use: mistral/m-large, price: {{in: 1, out: 2}}}}
  deepseek: {{use: deepseek/d-chat, price: {{in: 1, out: 2}}}}
  claude: {{use: anthropic/claude-x, price: {{in: 1, out: 2}}}}
  cohere: {{use: cohere/c-plus, price: {{in: 1, out: 2}}}}
  wayward: {{use: wayward/w, price: {{in: 1, out: 2}}}}
"""


@pytest.fixture
async def translated(house: House, provider: Chaosprov) -> House:
    root = provider.base_url.removesuffix("/v1")
    await house.adopt(POLICY.format(provider=provider.base_url, root=root, key=KEY))
    return house


async def _broken(sdk: AsyncOpenAI, model: str) -> tuple[str, str | None]:
    """What a client sees of a stream that breaks off, and the code of its error; nothing in it says that it has ended."""
    seen = ""
    try:
        stream = await sdk.chat.completions.create(model=model, messages=SAY_HELLO, stream=True)
        async for chunk in stream:
            assert all(choice.finish_reason is None for choice in chunk.choices)
            seen += "".join(choice.delta.content or "" for choice in chunk.choices)
    except openai.APIError as error:
        return seen, error.code
    raise AssertionError("the stream has ended as if it were complete")


async def test_a_whole_answer(translated: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Say("Hello"), Finish("length"), Usage(7, 3))

    raw = await sdk.chat.completions.with_raw_response.create(
        model="mistral", messages=SAY_HELLO, temperature=0.5, logit_bias={"1": 2}, user="u1"
    )

    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello", "length")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 3)
    asked = provider.calls[0]
    assert (asked.path, asked.json["model"], asked.json["temperature"]) == ("/v1/chat/completions", "m-large", 0.5)
    assert "logit_bias" not in asked.json
    assert translated.account() == (7 * 1000 + 3 * 2000, 0)


async def test_a_stream(translated: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), Say("lo"), Finish("stop"), Usage(7, 3), DONE)

    stream = await sdk.chat.completions.create(
        model="mistral", messages=SAY_HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "Hello"
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 3)
    assert provider.calls[0].json["stream"] is True


async def test_usage_that_the_provider_did_not_tell_is_our_own_estimate(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    provider.will(Say("Hello there"), Finish("stop"), DONE)

    stream = await sdk.chat.completions.create(
        model="mistral", messages=SAY_HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert all(chunk.usage is None for chunk in chunks)
    record = await translated.only_record()
    assert record["estimated"]


@pytest.mark.parametrize("end", [CUT, RESET])
@pytest.mark.parametrize("model", ["mistral", "deepseek"])
async def test_a_stream_that_is_cut_does_not_look_complete(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov, model: str, end: Step
) -> None:
    provider.will(Say("Hel"), end)

    assert await _broken(sdk, model) == ("Hel", "upstream_truncated")


async def test_a_stream_that_ends_cleanly_before_its_end_does_not_look_complete(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    """The SDK itself says `stop` there."""
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    begun = {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]}
    provider.will(
        Head(headers=(("content-type", "text/event-stream"),)), Body(f"data: {json.dumps(begun)}\n\n".encode())
    )

    assert await _broken(sdk, "mistral") == ("Hel", "upstream_truncated")


async def test_tools(translated: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Tool("weather", {"city": "Rome"}), Finish("tool_calls"), Usage(7, 3), DONE)
    function = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    tools: Any = [{"type": "function", "function": function}]

    stream = await sdk.chat.completions.create(model="mistral", messages=SAY_HELLO, tools=tools, stream=True)
    deltas = [choice.delta async for chunk in stream for choice in chunk.choices]

    functions = [call.function for delta in deltas for call in delta.tool_calls or () if call.function]
    assert functions[0].name == "weather"
    assert json.loads("".join(each.arguments or "" for each in functions)) == {"city": "Rome"}
    assert provider.calls[0].json["tools"] == tools


async def test_an_error_is_told_without_secrets(translated: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    said = {"error": {"message": f"no model m-large for {KEY}", "code": "model_gone", "param": "model"}}
    provider.will(Json(said, status=404))

    with pytest.raises(openai.NotFoundError) as raised:
        await sdk.chat.completions.create(model="mistral", messages=SAY_HELLO)

    assert (raised.value.code, raised.value.param) == ("upstream_model_gone", "model")
    assert "no model m-large for ***" in raised.value.message
    assert KEY not in json.dumps(await translated.only_record())


@pytest.mark.parametrize(
    ("status", "code"), [(401, "upstream_auth_failed"), (429, "upstream_rate_limited"), (500, "upstream_error")]
)
async def test_a_provider_s_failures_are_those_of_any_other(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov, status: int, code: str
) -> None:
    provider.will(Status(status))

    with pytest.raises(openai.APIStatusError) as raised:
        await sdk.chat.completions.create(model="mistral", messages=SAY_HELLO)

    assert raised.value.code == code
    assert len(provider.calls) == 1, "litellm has tried again by itself"


async def test_a_client_that_leaves_stops_the_provider(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    provider.will(Say("Hel"), HANG)

    stream = await sdk.chat.completions.create(model="mistral", messages=SAY_HELLO, stream=True)
    assert (await anext(aiter(stream))).choices[0].delta.content == "Hel"
    await stream.close()

    async with asyncio.timeout(10):
        await provider.disconnected()
    record = await translated.only_record()
    assert record["error_code"] == "client_disconnected"


async def test_a_silent_provider_meets_our_deadline(translated: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    await translated.adopt(
        POLICY.format(provider=provider.base_url, root="http://127.0.0.1:1", key=KEY).replace("idle: 10s", "idle: 0.2s")
    )
    provider.will(Say("Hel"), HANG)

    stream = await sdk.chat.completions.create(model="mistral", messages=SAY_HELLO, stream=True)
    with pytest.raises(openai.APIError) as raised:
        [chunk async for chunk in stream]

    assert raised.value.code == "upstream_timeout"
    async with asyncio.timeout(10):
        await provider.disconnected()


async def test_nobody_listening(translated: House, sdk: AsyncOpenAI) -> None:
    await translated.adopt(POLICY.format(provider="http://127.0.0.1:1/v1", root="http://127.0.0.1:1", key=KEY))

    with pytest.raises(openai.APIStatusError) as raised:
        await sdk.chat.completions.create(model="mistral", messages=SAY_HELLO)

    assert raised.value.code == "upstream_connect_error"


async def test_the_environment_leads_no_calls_elsewhere(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_API_BASE", provider.base_url)

    with pytest.raises(openai.APIStatusError):
        await sdk.chat.completions.create(model="wayward", messages=SAY_HELLO)

    assert not provider.calls
    record = await translated.only_record()
    assert "MISTRAL_API_BASE" in str(record)


ANTHROPIC = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 7, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]


def _sse(events: list[Any]) -> tuple[Step, ...]:
    text = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)
    return Head(headers=(("content-type", "text/event-stream"),)), Body(text.encode())


async def test_another_dialect_s_stream(translated: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(*_sse(ANTHROPIC))

    stream = await sdk.chat.completions.create(
        model="claude", messages=SAY_HELLO, max_completion_tokens=5, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "Hello"
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["length"]
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 3)
    assert (provider.calls[0].path, provider.calls[0].json["max_tokens"]) == ("/v1/messages", 5)
    assert provider.calls[0].header("x-api-key") == KEY


@pytest.mark.parametrize("length", range(1, 5))
async def test_another_dialect_s_stream_that_ends_early(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov, length: int
) -> None:
    provider.will(*_sse(ANTHROPIC[:length]))

    assert (await _broken(sdk, "claude"))[1] in ("upstream_truncated", "upstream_invalid_response")


async def test_cohere(translated: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    answer = {
        "id": "1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        "usage": {
            "billed_units": {"input_tokens": 7, "output_tokens": 3},
            "tokens": {"input_tokens": 7, "output_tokens": 3},
        },
    }
    provider.will(Json(answer))

    got = await sdk.chat.completions.create(model="cohere", messages=SAY_HELLO, max_tokens=9)

    assert got.choices[0].message.content == "Hello"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (7, 3)


async def test_what_a_message_points_to_is_not_fetched(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    part = {"type": "image_url", "image_url": {"url": f"{provider.base_url}/secret.png"}}

    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.chat.completions.create(model="claude", messages=[{"role": "user", "content": [part]}])  # type: ignore[list-item,misc]

    assert (raised.value.code, raised.value.param) == ("unsupported_parameter", "messages[0].content[0]")
    assert not provider.calls


async def test_fields_that_steer_the_sdk_are_refused(translated: House, provider: Chaosprov) -> None:
    body = {"model": "mistral", "messages": SAY_HELLO, "api_base": "http://127.0.0.1:1"}
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"{translated.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {translated.key}"}
        )

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "api_base")
    assert not provider.calls


async def test_unknown_fields_and_tools_never_reach_the_sdk(
    translated: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    provider.will(Say("Hello"), Finish("stop"), Usage(7, 3))
    tools: Any = [
        {"type": "mcp", "server_url": "litellm_proxy", "server_label": "x"},
        {"type": "function", "function": {"name": "f"}},
    ]
    messages: Any = [{"role": "user", "content": "hi", "images": ["x"]}]

    await sdk.chat.completions.create(model="mistral", messages=messages, tools=tools, extra_body={"shiny": 1})

    assert provider.calls[0].json["tools"] == tools[1:]
