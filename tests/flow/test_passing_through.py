"""What the gateway does not act on reaches the other side as it was written, and secrets reach no side."""

from __future__ import annotations

import json

import httpx
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Event, Finish, Json, Say, Usage
from tests.flow.raw import chat, request, whole_response

ODD = '"temperature": 1e-1, "seed":9007199254740993 , "x_vendor":{"b":1,"a":[1.0,"\\u00e9\\/"]},"top_p":1.00'


async def post(house: House, body: str, **headers: str) -> httpx.Response:
    all_headers = {"authorization": f"Bearer {house.key}", "content-type": "application/json", **headers}
    async with httpx.AsyncClient() as client:
        return await client.post(f"{house.url}/v1/chat/completions", content=body, headers=all_headers)


async def test_a_body_that_needs_no_change_reaches_the_provider_byte_for_byte(
    house: House, provider: Chaosprov
) -> None:
    body = '{"messages" :[{"role":"user","content":"h\\u00e9"}], ' + ODD + ',"model":"ok"}'

    answer = await post(house, body)

    assert answer.status_code == 200
    assert provider.calls[0].body == body.encode()


async def test_only_what_must_change_is_changed_in_a_stream(house: House, provider: Chaosprov) -> None:
    body = '{"llmgw":{"a":1},"messages" :[{"role":"user","content":"hi"}], ' + ODD + ',"stream":true,"model":"ok"}'

    await post(house, body)

    sent = provider.calls[0].body.decode()
    for member in ('"temperature":1e-1', '"seed":9007199254740993', '{"b":1,"a":[1.0,"\\u00e9\\/"]}', '"top_p":1.00'):
        assert member in sent
    assert "llmgw" not in sent
    assert json.loads(sent)["stream_options"] == {"include_usage": True}


async def test_usage_that_the_client_did_not_ask_for_is_stripped(house: House, sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(model="ok", messages=[{"role": "user", "content": "hi"}], stream=True)

    chunks = [chunk async for chunk in stream]

    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert (await house.only_record())["estimated"] is False


async def test_usage_that_the_client_asked_for_tells_the_cost(house: House, sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="ok",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
    )

    last = [chunk async for chunk in stream][-1]

    record = await house.only_record()
    assert last.usage is not None
    assert last.usage.completion_tokens == record["output_tokens"]
    assert (last.usage.model_extra or {})["cost_usd"] * 1e9 == record["cost_nano_usd"]


async def test_the_client_s_headers_stay_with_us_and_the_provider_gets_its_own_key(
    house: House, provider: Chaosprov
) -> None:
    await post(house, json.dumps(chat()), cookie="c=1", **{"x-private": "p", "traceparent": "00-aa-bb-01"})

    call = provider.calls[0]
    assert call.header("authorization") == "Bearer sk-chaos-canary"
    assert call.header("cookie") is call.header("x-private") is call.header("traceparent") is None


async def test_the_provider_s_headers_pass_an_allow_list(house: House, provider: Chaosprov) -> None:
    message = {"role": "assistant", "content": "hi"}
    document = {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    secret = (
        ("Set-Cookie", "s=1"),
        ("Server", "secret/1"),
        ("X-Internal-Host", "10.0.0.1"),
        ("OpenAI-Version", "2020-10-01"),
    )
    provider.will(Json(document, headers=secret))

    answer = await post(house, json.dumps(chat()), **{"x-request-id": "mine-1"})

    assert {"set-cookie", "server", "x-internal-host"}.isdisjoint(answer.headers)
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-llmgw-policy"] == house.worker.policy.current.version
    assert answer.headers["x-llmgw-model"] == "chaos/ok"
    assert answer.headers["x-llmgw-provider"] == "chaos"
    assert answer.headers["x-llmgw-attempts"] == "1"
    assert answer.content == json.dumps(document).encode()


async def test_a_provider_s_stream_reaches_the_client_as_it_was_written(house: House, provider: Chaosprov) -> None:
    odd = {"id": "c", "choices": [{"index": 0, "delta": {"content": "é"}, "x_extra": [1, {"b": None}]}], "x": 1.50}
    provider.will(Event(json.dumps(odd)), Say("lo"), Finish(), Usage(5, 2), DONE)

    received = await whole_response(house, request(house, chat(stream=True), headers="connection: close\r\n"))

    assert b"data: " + json.dumps(odd).encode() + b"\n\n" in received
