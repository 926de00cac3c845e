"""The official anthropic SDK works through the gateway, whatever dialect the provider speaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic import AsyncAnthropic

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.oracle import Call
from tests.faults.steps import CUT, DONE, Body, Event, Finish, Head, Json, Say, Status, Step, Tool, Usage
from tests.flow.test_cache import kept

STREAMS = Path(__file__).parent.parent / "streams" / "anthropic"
CLAUDE = """
providers:
  claude:
    dialect: anthropic
    base_url: {base}
    key: sk-ant-canary
    allow_private: true
    timeouts: {{connect: 1s, headers: 2s, first_token: 2s, idle: 2s, total: 20s}}
models:
  claude: {{use: claude/claude-sonnet-4-5, price: {{in: 1, out: 2}}}}
"""
HI: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {
    "name": "weather",
    "description": "Tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SSE = Head(200, (("content-type", "text/event-stream"), ("request-id", "req_011")))


def recorded(name: str, *, until: bytes = b"") -> tuple[Step, ...]:
    """A recorded stream, or its beginning."""
    data = (STREAMS / f"{name}.sse").read_bytes()
    return SSE, Body(data[: data.index(until)] if until else data)


MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "cache_read_input_tokens": 3, "output_tokens": 2, "x_new": 1.50},
}


@pytest.fixture
async def claude(house: House, provider: Chaosprov) -> House:
    """A house with a provider of Anthropic's dialect, and with names under which every dialect is asked alike."""
    base = provider.base_url.removesuffix("/v1")
    await house.adopt(CLAUDE.format(base=base))
    return house


@pytest.fixture
async def client(claude: House) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=claude.url, api_key=claude.key, max_retries=0) as sdk:
        yield sdk


async def ask(client: AsyncAnthropic, model: str, **more: Any) -> Any:
    return await client.messages.create(**{"model": model, "max_tokens": 100, "messages": HI, **more})


async def streamed(client: AsyncAnthropic, model: str, **more: Any) -> Any:
    async with client.messages.stream(**{"model": model, "max_tokens": 100, "messages": HI, **more}) as stream:
        return await stream.get_final_message()


def sent(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = call.json
    return body


async def test_a_message_is_passed_on_as_it_came(client: AsyncAnthropic, claude: House, provider: Chaosprov) -> None:
    provider.will(Json(MESSAGE))

    raw = await client.messages.with_raw_response.create(
        model="claude",
        max_tokens=100,
        messages=HI,
        extra_headers={"anthropic-beta": "a-2025"},
        extra_body={"context_management": {"edits": []}},
    )

    assert (await raw.parse()).to_dict() == MESSAGE
    assert json.loads(await raw.text()) == MESSAGE
    call = provider.calls[0]
    assert call.path == "/v1/messages"
    assert sent(call) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "messages": HI,
        "context_management": {"edits": []},
    }
    assert (call.header("x-api-key"), call.header("authorization")) == ("sk-ant-canary", None)
    assert (call.header("anthropic-version"), call.header("anthropic-beta")) == ("2026-10-21", "a-2025")
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    assert "x-llmgw-dropped" not in raw.headers
    record = await claude.only_record()
    assert (record["input_tokens"], record["output_tokens"], record["cached_tokens"]) == (12, 2, 3)
    assert record["cost_nano_usd"] == 16_000


@pytest.mark.parametrize("name", ["text", "tools", "thinking", "web_search", "cached", "refusal", "unheard_of"])
async def test_a_stream_is_passed_on_byte_for_byte(claude: House, provider: Chaosprov, name: str) -> None:
    provider.will(*recorded(name))
    body = {"model": "claude", "max_tokens": 100, "messages": HI, "stream": True}

    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{claude.url}/v1/messages", json=body, headers={"x-api-key": claude.key})

    assert answer.content == (STREAMS / f"{name}.sse").read_bytes()
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_a_stream_that_breaks_off_ends_with_an_error_and_no_stop(claude: House, provider: Chaosprov) -> None:
    begun = (STREAMS / "text.sse").read_bytes().partition(b"event: content_block_stop")[0]
    provider.will(SSE, Body(begun), CUT)
    body = {"model": "claude", "max_tokens": 100, "messages": HI, "stream": True}

    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{claude.url}/v1/messages", json=body, headers={"x-api-key": claude.key})

    assert answer.content.startswith(begun)
    name, data = answer.content.removeprefix(begun).decode().split("\n")[:2]
    assert name == "event: error"
    told = json.loads(data.removeprefix("data: "))
    assert told["type"] == "error"
    assert told["error"]["type"] == "api_error"
    assert told["error"]["code"] == "upstream_truncated"
    assert told["request_id"] == answer.headers["x-request-id"]


async def test_a_stream_that_told_its_reason_but_not_its_end_is_ended(
    client: AsyncAnthropic, provider: Chaosprov
) -> None:
    provider.will(*recorded("text", until=b"event: message_stop"))

    message = await streamed(client, "claude")

    assert message.stop_reason == "end_turn"


async def test_a_stream_that_outruns_its_budget_is_ended_at_its_length(
    claude: House, client: AsyncAnthropic, provider: Chaosprov
) -> None:
    await claude.adopt(
        CLAUDE.format(base=provider.base_url.removesuffix("/v1"))
        + "tenants: {default: {budget: [{usd: 0.0015, per: day}]}}"
    )
    text = (STREAMS / "text.sse").read_bytes()
    start, word, _ = text.partition(b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0')
    delta = word + b',"delta":{"type":"text_delta","text":" word and another and one more"}}\n\n'
    provider.will(SSE, Body(start + delta * 400), Body(text[text.index(b"event: content_block_stop") :]))

    message = await streamed(client, "claude", max_tokens=100_000)

    assert message.stop_reason == "max_tokens"
    assert 0 < len(message.content[0].text) < 400 * 30
    assert message.content[0].text == " word and another and one more" * (len(message.content[0].text) // 30)
    assert claude.account()[0] <= 1_500_000


async def test_an_error_in_mid_stream_is_the_sdk_s_own(client: AsyncAnthropic, provider: Chaosprov) -> None:
    provider.will(*recorded("error_later"))

    with pytest.raises(anthropic.APIStatusError) as caught:
        await streamed(client, "claude")

    assert "sk-ant" not in str(caught.value)


async def test_a_message_of_a_provider_of_openai_s_dialect(client: AsyncAnthropic, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), Say("lo"), Finish(), Usage(9, 2))

    message = await ask(client, "ok", system="Be brief", stop_sequences=["X"], metadata={"user_id": "u"})

    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "Hello"}]
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("end_turn", 9, 2)
    assert message.id.startswith("msg_")
    assert sent(provider.calls[0]) == {
        "model": "ok",
        "messages": [{"role": "system", "content": "Be brief"}, *HI],
        "max_tokens": 100,
        "stop": ["X"],
        "user": "u",
    }


async def test_a_stream_of_a_provider_of_openai_s_dialect(client: AsyncAnthropic, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), Say("lo"), Finish("length"), Usage(9, 2), DONE)

    message = await streamed(client, "ok")

    assert message.content[0].text == "Hello"
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("max_tokens", 9, 2)
    assert sent(provider.calls[0])["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("form", [ask, streamed])
async def test_a_tool_loop_across(client: AsyncAnthropic, provider: Chaosprov, form: Any) -> None:
    provider.will(
        Tool("weather", '{"city":"Bern"}'),
        Tool("weather", '{"city":"Z"}', "call_2", 1),
        Finish("tool_calls"),
        Usage(9, 5),
        DONE,
    )
    asked = await form(client, "ok", tools=[TOOL], tool_choice={"type": "any", "disable_parallel_tool_use": False})

    assert asked.stop_reason == "tool_use"
    uses = [block for block in asked.content if block.type == "tool_use"]
    assert [(use.id, use.name, use.input) for use in uses] == [
        ("call_1", "weather", {"city": "Bern"}),
        ("call_2", "weather", {"city": "Z"}),
    ]
    assert sent(provider.calls[0])["tool_choice"] == "required"

    results: Any = [{"type": "tool_result", "tool_use_id": use.id, "content": "sun"} for use in uses]
    loop: Any = [*HI, {"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
    provider.will(Say("Sunny"), Finish(), Usage(9, 2), DONE)
    answer = await form(client, "ok", messages=loop, tools=[TOOL])

    assert answer.content[0].text == "Sunny"
    again = sent(provider.calls[1])["messages"]
    assert [message["role"] for message in again] == ["user", "assistant", "tool", "tool"]
    assert json.loads(again[1]["tool_calls"][0]["function"]["arguments"]) == {"city": "Bern"}
    assert again[3] == {"role": "tool", "tool_call_id": "call_2", "content": "sun"}


async def test_an_image_across(client: AsyncAnthropic, provider: Chaosprov) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}

    await ask(client, "ok", messages=[{"role": "user", "content": [image, {"type": "text", "text": "?"}]}])

    assert sent(provider.calls[0])["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "text", "text": "?"},
    ]


async def test_structured_output_across(client: AsyncAnthropic, provider: Chaosprov) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form: Any = {"format": {"type": "json_schema", "schema": schema}}
    provider.will(Say('{"n":1}'), Finish(), Usage(9, 5))

    message = await ask(client, "ok", output_config=form)

    assert json.loads(message.content[0].text) == {"n": 1}
    assert sent(provider.calls[0])["response_format"]["json_schema"]["schema"] == schema


async def test_reasoning_across_is_thinking_without_a_signature(client: AsyncAnthropic, provider: Chaosprov) -> None:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return Event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})

    provider.will(
        chunk({"role": "assistant", "content": "", "reasoning_content": "Hm"}),
        chunk({"reasoning_content": "m."}),
        chunk({"content": "Yes"}),
        chunk({}, "stop"),
        DONE,
    )

    message = await streamed(client, "ok", thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)

    assert [block.to_dict() for block in message.content] == [
        {"type": "thinking", "thinking": "Hmm.", "signature": ""},
        {"type": "text", "text": "Yes"},
    ]
    assert "thinking" not in sent(provider.calls[0])


async def test_what_could_not_be_said_is_told(client: AsyncAnthropic, provider: Chaosprov) -> None:
    raw = await client.messages.with_raw_response.create(
        model="ok",
        max_tokens=100,
        messages=HI,
        thinking={"type": "disabled"},
        extra_body={"top_k": 5, "mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]},
    )

    assert set(raw.headers["x-llmgw-dropped"].split(", ")) == {"thinking", "top_k", "mcp_servers"}
    assert sent(provider.calls[0]).keys() == {"model", "messages", "max_tokens"}


async def test_a_stream_across_that_breaks_off_is_an_error(client: AsyncAnthropic, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), CUT)

    with pytest.raises(anthropic.APIStatusError):
        await streamed(client, "ok")


@pytest.mark.parametrize("form", [ask, streamed])
async def test_the_demo_provider(client: AsyncAnthropic, form: Any) -> None:
    message = await form(client, "demo")

    assert message.content[0].text == "This is the demo provider of llmgw. You said: hi"
    assert message.usage.output_tokens > 0


async def test_a_bearer_and_paths_below_anthropic(claude: House) -> None:
    async with AsyncAnthropic(base_url=f"{claude.url}/anthropic", auth_token=claude.key, max_retries=0) as sdk:
        message = await ask(sdk, "demo")
        counted = await sdk.messages.count_tokens(model="demo", messages=HI)
        names = [model.id async for model in sdk.models.list()]
        model = await sdk.models.retrieve("claude")

    assert message.type == "message"
    assert counted.input_tokens > 0
    assert names == ["claude", "demo", "ok"]
    assert model.type == "model"


async def test_models_are_listed_in_the_shape_of_the_client_s_dialect(
    client: AsyncAnthropic, claude: House, sdk: openai.AsyncOpenAI
) -> None:
    assert [model.id async for model in client.models.list()] == ["claude", "demo", "ok"]
    assert (await client.models.retrieve("ok")).display_name == "ok"
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("nope")
    assert [model.object async for model in sdk.models.list()] == ["model"] * 3


async def test_tokens_are_counted_without_asking_or_paying_anybody(
    client: AsyncAnthropic, claude: House, provider: Chaosprov
) -> None:
    short = await client.messages.with_raw_response.count_tokens(model="claude", messages=HI)
    long = await client.messages.count_tokens(model="claude", messages=HI, system="word " * 100, tools=[TOOL])

    assert short.headers["x-llmgw-estimated"] == "1"
    assert 0 < (await short.parse()).input_tokens < 20
    assert long.input_tokens > 110
    assert provider.calls == []
    assert claude.account() == (0, 0)
    while len(records := await claude.records()) < 2:
        await asyncio.sleep(0.01)
    assert {record["operation"] for record in records} == {"count_tokens"}
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.count_tokens(model="nope", messages=HI)


@pytest.mark.parametrize("model", ["ok", "claude"])
@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.InternalServerError, "api_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.RequestTooLargeError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
    ],
)
async def test_errors_are_the_sdk_s_own(
    client: AsyncAnthropic,
    provider: Chaosprov,
    model: str,
    status: int,
    kind: type[anthropic.APIStatusError],
    told: str,
) -> None:
    for _ in range(3):
        provider.will(Status(status, headers=(("Retry-After", "60"),)))

    with pytest.raises(kind) as caught:
        await ask(client, model)

    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", told)
    assert body["request_id"] == caught.value.request_id


async def test_a_provider_that_is_overloaded_says_so(client: AsyncAnthropic, provider: Chaosprov) -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    for _ in range(3):
        provider.will(Status(529, body, headers=(("Retry-After", "60"),)))

    with pytest.raises(anthropic.OverloadedError) as caught:
        await ask(client, "claude")

    assert caught.value.status_code == 529


async def test_errors_before_there_is_a_call(claude: House) -> None:
    key = {"x-api-key": claude.key}
    async with httpx.AsyncClient(base_url=claude.url) as http:
        answers = [
            await http.post("/v1/messages", content=b"{", headers=key),
            await http.post("/anthropic/v1/messages", json={"model": "demo", "messages": HI}, headers=key),
            await http.post("/anthropic/v1/complete", json={}, headers=key),
            await http.get("/v1/messages", headers=key),
            await http.get("/v1/messages/batches", headers=key),
            await http.post("/v1/messages?beta=true", json={}, headers={"x-api-key": "sk-wrong"}),
            await http.post("/v1/messages", json={}),
        ]
        head = await http.head("/anthropic")

    assert [(answer.status_code, answer.json()["error"]["type"]) for answer in answers] == [
        (400, "invalid_request_error"),
        (400, "invalid_request_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (404, "not_found_error"),
        (401, "authentication_error"),
        (401, "authentication_error"),
    ]
    assert answers[1].json()["error"]["message"] == "max_tokens: Field required"
    assert all(answer.json()["request_id"] == answer.headers["x-request-id"] for answer in answers)
    assert head.status_code == 404


async def test_a_spent_budget_is_a_rate_limit_that_is_not_tried_again(claude: House) -> None:
    await claude.adopt("tenants: {default: {budget: [{tokens: 1, per: day}]}}")

    async with AsyncAnthropic(base_url=claude.url, api_key=claude.key) as sdk:
        with pytest.raises(anthropic.RateLimitError) as caught:
            await ask(sdk, "demo")

    assert caught.value.response.headers["x-should-retry"] == "false"


async def test_an_answer_that_was_kept_serves_clients_of_every_dialect(
    client: AsyncAnthropic, claude: House, sdk: openai.AsyncOpenAI, provider: Chaosprov
) -> None:
    await claude.adopt(
        CLAUDE.format(base=provider.base_url.removesuffix("/v1")) + "cache: {default: {exact: {ttl: 1h}, tools: true}}"
    )
    provider.will(*recorded("thinking"))
    first = await streamed(client, "claude")
    await kept(claude)

    again = await streamed(client, "claude")
    whole = await client.messages.with_raw_response.create(model="claude", max_tokens=100, messages=HI)
    chat = await sdk.chat.completions.create(model="claude", max_tokens=100, messages=HI)

    assert len(provider.calls) == 1
    assert whole.headers["x-llmgw-cache"] == "hit"
    assert [block.to_dict() for block in again.content] == [block.to_dict() for block in first.content]
    assert [block.to_dict() for block in (await whole.parse()).content] == [block.to_dict() for block in first.content]
    assert chat.choices[0].message.content == "27 * 453 = 12,231"


async def test_tool_calls_that_were_kept_come_after_the_text(
    client: AsyncAnthropic, claude: House, provider: Chaosprov
) -> None:
    await claude.adopt(
        CLAUDE.format(base=provider.base_url.removesuffix("/v1")) + "cache: {default: {exact: {ttl: 1h}, tools: true}}"
    )
    provider.will(*recorded("tools"))
    first = await streamed(client, "claude", tools=[TOOL])
    await kept(claude)

    again = await streamed(client, "claude", tools=[TOOL])

    assert len(provider.calls) == 1
    assert [block.to_dict() for block in again.content] == [block.to_dict() for block in first.content]
    assert again.stop_reason == "tool_use"


async def test_calls_that_differ_in_what_chat_cannot_say_do_not_share_an_answer(
    client: AsyncAnthropic, claude: House, provider: Chaosprov
) -> None:
    await claude.adopt(
        CLAUDE.format(base=provider.base_url.removesuffix("/v1")) + "cache: {default: {exact: {ttl: 1h}}}"
    )
    provider.will(Json(MESSAGE))
    provider.will(Json(MESSAGE))
    await ask(client, "claude")
    await kept(claude)

    await ask(client, "claude", extra_body={"context_management": {"edits": []}})

    assert len(provider.calls) == 2


async def test_openai_s_sdk_and_a_provider_of_anthropic_s_dialect(
    claude: House, sdk: openai.AsyncOpenAI, provider: Chaosprov
) -> None:
    provider.will(*recorded("tools"))
    function: Any = {"name": "get_weather", "strict": True, "parameters": TOOL["input_schema"]}
    tools: Any = [{"type": "function", "function": function}]
    async with sdk.chat.completions.stream(
        model="claude", messages=HI, tools=tools, stream_options={"include_usage": True}
    ) as stream:
        answer = await stream.get_final_completion()

    assert answer.choices[0].message.content == "Okay, let's check the weather:"
    calls = answer.choices[0].message.tool_calls or []
    assert [json.loads(call.function.arguments) for call in calls] == [{"location": "San Francisco, CA"}, {}]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (472, 89)

    provider.will(Json(MESSAGE))
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in calls]
    message: Any = answer.choices[0].message
    last = await sdk.chat.completions.create(model="claude", messages=[*HI, message, *results], tools=tools)

    assert last.choices[0].message.content == "Hello"
    again = sent(provider.calls[1])["messages"]
    assert [turn["role"] for turn in again] == ["user", "assistant", "user"]
    assert [block["tool_use_id"] for block in again[2]["content"]] == [call.id for call in calls]


async def test_openai_s_sdk_asks_an_anthropic_provider_for_structured_output(
    claude: House, sdk: openai.AsyncOpenAI, provider: Chaosprov
) -> None:
    provider.will(Json({**MESSAGE, "content": [{"type": "text", "text": '{"n": 1}'}]}))
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    answer = await sdk.chat.completions.with_raw_response.create(
        model="claude", messages=HI, response_format=form, seed=1
    )

    assert json.loads(answer.parse().choices[0].message.content or "") == {"n": 1}
    assert answer.headers["x-llmgw-dropped"] == "seed"
    assert sent(provider.calls[0])["output_config"]["format"]["schema"] == {"title": "x", **schema}


async def test_several_choices_of_an_anthropic_provider_are_refused(claude: House, sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(model="claude", messages=HI, n=2)

    assert caught.value.param == "n"


async def test_signed_thinking_survives_at_its_own_provider_and_is_left_out_at_another(
    client: AsyncAnthropic, provider: Chaosprov
) -> None:
    provider.will(*recorded("thinking"))
    first = await streamed(client, "claude")
    talk: Any = [*HI, {"role": "assistant", "content": first.content}, *HI]

    provider.will(Json(MESSAGE))
    await ask(client, "claude", messages=talk)
    provider.will(Say("ok"), Finish(), Usage(9, 1))
    await ask(client, "ok", messages=talk)

    own, other = sent(provider.calls[1])["messages"][1], sent(provider.calls[2])["messages"][1]
    assert [block["type"] for block in own["content"]] == ["thinking", "redacted_thinking", "text"]
    assert own["content"][0]["signature"].startswith("EqQB")
    assert other == {"role": "assistant", "content": "27 * 453 = 12,231"}


async def test_a_repeated_idempotency_key_gets_the_same_message(client: AsyncAnthropic, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), Say("lo"), Finish(), Usage(9, 2))
    headers = {"Idempotency-Key": "k"}

    first = await ask(client, "ok", extra_headers=headers)
    again = await ask(client, "ok", extra_headers=headers)

    assert again.to_dict() == first.to_dict()
    assert len(provider.calls) == 1
