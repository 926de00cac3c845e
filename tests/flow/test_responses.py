"""Clients of OpenAI's responses work through the gateway with whoever answers, by the official SDK's strictest reading."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, DONE, Body, Event, Finish, Head, Json, Say, Status, Step, Tool, Usage
from tests.flow.client import post
from tests.flow.test_idempotency import key_of

HELLO = "This is the demo provider of llmgw. You said: hi"
SSE = Head(headers=(("Content-Type", "text/event-stream"),))
STREAMS = Path(__file__).parent.parent / "streams" / "responses"
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}
ORDER = [
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
PROVIDERS = """
providers:
  relay:
    dialect: responses
    base_url: {url}
    key: sk-relay-canary
    allow_private: true
    timeouts: {{connect: 1s, headers: 2s, first_token: 2s, idle: 2s, total: 20s}}
models:
  relay: {{use: relay/gpt-5, price: {{in: 1, out: 2}}}}
  either: {{use: relay/gpt-5, fallback: [chaos/ok], price: {{in: 1, out: 2}}}}
"""


class City(BaseModel):
    name: str
    country: str


@pytest.fixture
async def sdk(house: House) -> AsyncIterator[AsyncOpenAI]:
    """The official client, which takes nothing that is not as its types say."""
    async with AsyncOpenAI(
        base_url=f"{house.url}/v1", api_key=house.key, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
async def relay(house: House, provider: Chaosprov) -> None:
    """The models `relay`, of a provider that speaks responses, and `either`, which falls back to chat."""
    await house.adopt(PROVIDERS.format(url=provider.base_url))


def recorded(name: str) -> bytes:
    return (STREAMS / f"{name}.sse").read_bytes()


def streamed(name: str) -> tuple[Step, ...]:
    return (SSE, Body(recorded(name)))


def whole(name: str) -> Json:
    """The response that the recorded stream ends with."""
    data = recorded(name).rstrip().rpartition(b"data: ")[2]
    return Json(json.loads(data)["response"])


async def test_a_response(sdk: AsyncOpenAI) -> None:
    answer = await sdk.responses.create(model="demo", input="hi", instructions="Be kind.")

    assert answer.output_text == HELLO
    assert (answer.status, answer.instructions) == ("completed", "Be kind.")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


async def test_a_stream_tells_its_events_in_openai_s_order(sdk: AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model="demo", input="hi", stream=True)

    events = [event async for event in stream]

    assert list(dict.fromkeys(event.type for event in events)) == ORDER
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == HELLO
    assert last.response.usage is not None


async def test_the_sdk_s_own_reader_of_streams_adds_up(sdk: AsyncOpenAI) -> None:
    async with sdk.responses.stream(model="demo", input="hi") as stream:
        said = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()

    assert "".join(said) == final.output_text == HELLO


async def test_structured_output(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Say('{"name":"Rome","country":"Italy"}'), Finish(), Usage(5, 5))

    answer = await sdk.responses.parse(model="ok", input="A city", text_format=City)

    assert answer.output_parsed == City(name="Rome", country="Italy")
    form = provider.calls[0].json["response_format"]
    assert (form["type"], form["json_schema"]["name"], form["json_schema"]["strict"]) == ("json_schema", "City", True)


async def test_an_image_and_a_file_go_to_a_provider_of_chat(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    content: Any = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
    ]

    await sdk.responses.create(model="ok", input=[{"role": "user", "content": content}])

    assert provider.calls[0].json["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            ],
        }
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on_from_a_response(sdk: AsyncOpenAI, stream: bool) -> None:
    asked: Any = {"model": "demo", "input": "weather please", "tools": [WEATHER]}
    if stream:
        async with sdk.responses.stream(**asked) as events:
            first: Any = await events.get_final_response()
    else:
        first = await sdk.responses.create(**asked)
    call = first.output[0]
    assert (call.type, call.name) == ("function_call", "weather")

    second = await sdk.responses.create(
        model="demo",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
        tools=[WEATHER],
    )

    assert second.previous_response_id == first.id
    kept = await sdk.responses.retrieve(second.id)
    assert kept.to_dict() == second.to_dict()
    items = [item async for item in await sdk.responses.input_items.list(second.id, order="asc", limit=2)]
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]
    await sdk.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(second.id)


async def test_what_is_not_to_be_stored_is_not(sdk: AsyncOpenAI) -> None:
    answer = await sdk.responses.create(model="demo", input="hi", store=False)

    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(answer.id)
    with pytest.raises(openai.NotFoundError) as refused:
        await sdk.responses.create(model="demo", input="and?", previous_response_id=answer.id)
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


async def test_another_tenant_s_response_is_as_good_as_none(house: House, sdk: AsyncOpenAI) -> None:
    await house.adopt("tenants: {default: {}, acme: {}}")
    mine = await sdk.responses.create(model="demo", input="hi")
    theirs = sdk.with_options(api_key=await key_of(house, "acme"))

    errors = []
    for id in (mine.id, "resp_none"):
        with pytest.raises(openai.NotFoundError) as refused:
            await theirs.responses.retrieve(id)
        errors.append(refused.value.message.replace(id, "ID"))
        with pytest.raises(openai.NotFoundError):
            await theirs.responses.create(model="demo", input="hi", previous_response_id=id)
        with pytest.raises(openai.NotFoundError):
            await theirs.responses.delete(id)

    assert errors[0] == errors[1]
    assert (await sdk.responses.retrieve(mine.id)).id == mine.id


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("background", True, "unsupported_parameter"),
        ("conversation", "conv_1", "unsupported_parameter"),
        ("max_output_tokens", 0, "invalid_value"),
        ("input", 5, "invalid_type"),
        ("api_base", "http://169.254.169.254", "unknown_parameter"),
        ("Store", True, "unknown_parameter"),
    ],
)
async def test_what_is_not_served_is_refused_by_name(house: House, field: str, value: Any, code: str) -> None:
    answer = await post(house, {"model": "demo", "input": "hi", field: value}, path="/v1/responses")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, field)


async def test_nothing_is_cancelled(sdk: AsyncOpenAI) -> None:
    answer = await sdk.responses.create(model="demo", input="hi")

    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.responses.cancel(answer.id)

    assert refused.value.code == "unsupported_operation"


async def test_what_chat_has_no_word_for_is_told(house: House, provider: Chaosprov) -> None:
    body = {
        "model": "ok",
        "input": [{"role": "user", "content": "hi"}, {"type": "web_search_call", "id": "ws_1", "status": "completed"}],
        "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [WEATHER, {"type": "web_search"}],
        "truncation": "auto",
        "x_new": 1,
    }

    answer = await post(house, body, path="/v1/responses")

    names = answer.headers["x-llmgw-dropped"].split(", ")
    assert sorted(names) == ["input[1]", "reasoning.summary", "tools[1]", "truncation", "x_new"]
    assert provider.calls[0].json["reasoning_effort"] == "low"
    assert [tool["function"]["name"] for tool in provider.calls[0].json["tools"]] == ["weather"]


async def test_an_error_of_the_provider_comes_in_openai_s_envelope(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Status(400, b'{"error": {"message": "no such thing", "code": "bad", "param": "input"}}'))

    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.responses.create(model="ok", input="hi")

    assert (refused.value.code, refused.value.param) == ("upstream_bad", "input")


@pytest.mark.parametrize("model", ["ok", "relay"])
@pytest.mark.usefixtures("relay")
async def test_a_stream_that_breaks_ends_with_a_failed_response(
    sdk: AsyncOpenAI, provider: Chaosprov, model: str
) -> None:
    begun = recorded("text").partition(b"event: response.output_text.done")[0]
    provider.will(*((Say("Hi"), CUT) if model == "ok" else (SSE, Body(begun), CUT)))

    stream = await sdk.responses.create(model=model, input="hi", stream=True)
    events = [event async for event in stream]

    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.status == "failed"


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize("name", ["text", "tools", "custom", "reasoning", "refusal", "incomplete", "web_search"])
async def test_a_client_of_a_provider_s_own_dialect_gets_its_bytes(
    house: House, provider: Chaosprov, name: str
) -> None:
    provider.will(*streamed(name))
    provider.will(whole(name))
    body = {"model": "relay", "input": "hi", "store": False, "x_new": [1.50, "é"]}

    stream = await post(house, {**body, "stream": True}, path="/v1/responses")
    answer = await post(house, body, path="/v1/responses")

    assert stream.content == recorded(name)
    assert answer.json() == json.loads(json.dumps(whole(name).value))
    assert [call.path for call in provider.calls] == ["/v1/responses"] * 2
    assert provider.calls[0].body == (
        b'{"model":"gpt-5","input":"hi","store":false,"x_new":[1.5, "\\u00e9"],"stream":true}'
    )
    records = await house.records()
    assert [record["usage"]["output"] if "usage" in record else record["output_tokens"] for record in records]


@pytest.mark.usefixtures("relay")
async def test_a_relayed_conversation_goes_on_elsewhere(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(whole("tools"))
    provider.will(whole("text"))
    provider.will(Status(503))
    provider.will(Say("Sun."), Finish(), Usage(5, 5))

    first = await sdk.responses.create(model="either", input="weather?", tools=[WEATHER])
    outputs: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
        for call in first.output
        if call.type == "function_call"
    ]
    second = await sdk.responses.create(model="either", input=outputs, previous_response_id=first.id, tools=[WEATHER])
    third = await sdk.responses.create(model="either", input="And now?", previous_response_id=second.id)

    assert third.output_text == "Sun."
    asked = provider.calls[0].json
    assert (asked["store"], asked["model"]) == (False, "gpt-5")
    again = provider.calls[1].json
    assert "previous_response_id" not in again
    kinds = ["message", "message", "function_call", "function_call", "function_call_output", "function_call_output"]
    assert [item["type"] for item in again["input"]] == kinds
    assert [call.path for call in provider.calls[2:]] == ["/v1/responses", "/v1/chat/completions"]
    messages = provider.calls[3].json["messages"]
    roles = ["user", "assistant", "tool", "tool", "assistant", "user"]
    assert [message["role"] for message in messages] == roles
    assert messages[1]["content"] == "Let me look."


@pytest.mark.parametrize("model", ["ok", "relay"])
@pytest.mark.usefixtures("relay")
async def test_a_stream_stops_at_its_budget_as_one_that_has_reached_its_length(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, model: str
) -> None:
    budget = "tenants: {default: {budget: [{tokens: 2000, per: day}]}}"
    await house.adopt(PROVIDERS.format(url=provider.base_url) + budget)
    head, tail = recorded("text").split(b"event: response.output_text.delta\n", 1)
    delta = b"event: response.output_text.delta\n" + tail.partition(b"\n\n")[0] + b"\n\n"
    many = b"".join(
        delta.replace(b'"sequence_number":4', b'"sequence_number":%d' % (4 + number)) for number in range(5000)
    )
    words = [Say(" word") for _ in range(5000)]
    steps: tuple[Step, ...] = (*words, Finish(), DONE) if model == "ok" else (SSE, Body(head + many))
    provider.will(*steps)

    stream = await sdk.responses.create(model=model, input="hi", stream=True, max_output_tokens=5000)
    events = [event async for event in stream]

    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert last.response.output_text == text != ""
    record = await house.only_record()
    assert (record["status"], record["outcome"]) == (200, "stopped_budget")
    assert record["input_tokens"] + record["output_tokens"] <= 2000


@pytest.mark.parametrize("stream", [False, True])
async def test_a_kept_answer_is_a_response_of_its_own(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, stream: bool
) -> None:
    await house.adopt("cache: {default: {exact: {ttl: 1h}, tools: true}}")
    first = await sdk.responses.create(model="ok", input="hi")
    if stream:
        async with sdk.responses.stream(model="ok", input="hi") as events:
            second: Any = await events.get_final_response()
    else:
        second = await sdk.responses.create(model="ok", input="hi")

    assert second.output_text == first.output_text
    assert second.id != first.id
    assert len(provider.calls) == 1
    assert (await sdk.responses.retrieve(second.id)).output_text == first.output_text


@pytest.mark.usefixtures("relay")
async def test_a_client_of_chat_is_answered_by_a_provider_of_responses(house: House, provider: Chaosprov) -> None:
    provider.will(whole("tools"))
    provider.will(*streamed("reasoning"))
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    asked: Any = {
        "model": "relay",
        "max_tokens": 100,
        "reasoning_effort": "low",
        "logit_bias": {"5": 1},
        "tools": [tool],
    }
    hello: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]
    async with AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.key, max_retries=0) as sdk:
        answer = await sdk.chat.completions.create(messages=hello, **asked)
        message = answer.choices[0].message
        results = [{"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in message.tool_calls or ()]
        again: Any = [*hello, message.to_dict(), *results]
        stream = await sdk.chat.completions.create(messages=again, stream=True, **asked)
        chunks = [chunk async for chunk in stream]

    assert answer.choices[0].finish_reason == "tool_calls"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "42"
    first, second = (call.json for call in provider.calls)
    assert first["input"][0] == {"type": "message", "role": "system", "content": "Be brief."}
    assert first["tools"] == [
        {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
    ]
    assert (first["max_output_tokens"], first["reasoning"], first["store"]) == (100, {"effort": "low"}, False)
    assert first["include"] == ["reasoning.encrypted_content"]
    assert [item["type"] for item in second["input"]][-4:] == ["function_call"] * 2 + ["function_call_output"] * 2
    records = await house.records()
    assert records[0]["dropped"] == ["logit_bias"]


async def test_reasoning_and_a_tool_s_call_are_items(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    thought = {"choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": "Hm."}}]}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "ok"}
    provider.will(
        Event({**chunk, **thought}), Tool("weather", '{"city": "Rome"}'), Finish("tool_calls"), Usage(5, 5), DONE
    )

    async with sdk.responses.stream(model="ok", input="weather?", tools=[WEATHER]) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()

    assert [item.type for item in final.output] == ["reasoning", "function_call"]
    assert list(dict.fromkeys(kinds))[2:12] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.completed",
    ]
