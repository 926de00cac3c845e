"""What the gateway does not act on reaches the other side as it was written, and secrets reach no side."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Event, Finish, Json, Say, Usage
from tests.flow.client import chunks, events, post
from tests.flow.raw import chat

ODD = (
    '"temperature": 1e-1, "seed":9007199254740993 , "x_vendor":{"b":1,"a":[1.0,"\\u00e9\\/",1E2,-0,'
    '123456789012345678901234567890]},"top_p":1.00, "\\u00fc":"\\ud83d\\ude00","x_usage":{"usage":null}'
)
KEPT = ('"temperature":1e-1', '"seed":9007199254740993', '"top_p":1.00', '"x_usage":{"usage":null}')
ORDERED = '{"b":1,"a":[1.0,"\\u00e9\\/",1E2,-0,123456789012345678901234567890]}'
MESSAGES = '"messages" :[{"role":"user","content":"h\\u00e9"}]'
MESSAGE = {"role": "assistant", "content": "hi"}
DOCUMENT: dict[str, Any] = {"id": "c", "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}
SENT = {
    "host",
    "authorization",
    "content-type",
    "accept",
    "accept-encoding",
    "user-agent",
    "content-length",
}


@pytest.mark.parametrize("stream", ["", ', "stream":true,"stream_options":{"include_usage":true,"x":1.0}'])
async def test_a_body_that_needs_no_change_reaches_the_provider_byte_for_byte(
    house: House, provider: Chaosprov, stream: str
) -> None:
    body = "{" + MESSAGES + ", " + ODD + stream + ',"model":"ok"}'

    answer = await post(house, body)

    assert answer.status_code == 200
    assert provider.calls[0].body == body.encode()


@pytest.mark.parametrize("rest", ['"stream":true,"model":"ok"', '"model":"renamed"'], ids=["stream", "renamed"])
async def test_only_what_must_change_is_changed(house: House, provider: Chaosprov, rest: str) -> None:
    await house.adopt("models: {renamed: {use: chaos/ok}}")
    body = '{"llmgw":{"a":1},' + MESSAGES + ", " + ODD + "," + rest + "}"

    await post(house, body)

    sent = provider.calls[0].body.decode()
    assert all(member in sent for member in KEPT)
    assert ORDERED in sent
    asked, given = json.loads(sent), json.loads(body)
    changed = {name for name in {*asked, *given} if asked.get(name) != given.get(name)}
    assert changed <= {"llmgw", "model", "stream_options"}
    assert "llmgw" not in asked
    assert asked["model"] == "ok"


async def test_the_other_stream_options_are_kept(house: House, provider: Chaosprov) -> None:
    options = {"include_usage": False, "include_obfuscation": False, "x": 2**70}

    answer = await post(house, chat(stream=True, stream_options=options))

    assert answer.status_code == 200
    assert provider.calls[0].json["stream_options"] == options | {"include_usage": True}
    assert all(chunk["choices"] for chunk in chunks(answer.content))


async def test_usage_that_the_client_did_not_ask_for_is_stripped(house: House, sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(model="ok", messages=[{"role": "user", "content": "hi"}], stream=True)

    read = [chunk async for chunk in stream]

    assert all(chunk.choices and chunk.usage is None for chunk in read)
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


@pytest.mark.parametrize(
    "rest",
    [
        {"usage": {}},
        {"x_vendor": {"usage": {"ms": 5}}, "usage": {"prompt_tokens": 5, "completion_tokens": 1}},
        {"x_vendor": '"usage":{', "usage": {"prompt_tokens": 5, "completion_tokens": 1}},
        {"usage": {"prompt_tokens": 5, "completion_tokens": 1, "cost_usd": 7}},
    ],
    ids=["empty", "another usage before it", "text like it", "a cost of the provider's own"],
)
async def test_the_cost_is_told_in_the_usage_and_nowhere_else(
    house: House, provider: Chaosprov, rest: dict[str, Any]
) -> None:
    provider.will(Say("Hello"), Finish(), Event({"id": None, "choices": [], **rest}), DONE)

    answer = await post(house, chat(stream=True, stream_options={"include_usage": True}))

    record = await house.only_record()
    told = chunks(answer.content)[-1]
    assert told["usage"].pop("cost_usd") * 1e9 == record["cost_nano_usd"]
    rest["usage"].pop("cost_usd", None)
    assert told == {"id": None, "choices": [], **rest}


async def test_the_client_s_headers_stay_with_us_and_the_provider_gets_its_own_key(
    house: House, provider: Chaosprov
) -> None:
    private = {"x_private": "p", "traceparent": "00-aa-bb-01", "x_llmgw_tags": "a", "openai_organization": "o"}

    await post(house, chat(), cookie="c=1", user_agent="app/1", x_forwarded_for="10.0.0.1", **private)

    call = provider.calls[0]
    assert {name.lower() for name, _ in call.headers} == SENT
    assert call.header("authorization") == "Bearer sk-chaos-canary"
    assert call.header("user-agent") == "llmgw"


@pytest.mark.parametrize("stream", [True, False])
async def test_the_provider_s_headers_pass_an_allow_list(house: House, provider: Chaosprov, stream: bool) -> None:
    answer = await post(house, chat("fault/evil-headers", stream=stream))

    assert answer.status_code == 200
    names = {name.lower() for name in answer.headers if not name.lower().startswith("x-llmgw-")}
    ours = {"x-request-id", "content-type", "content-length", "transfer-encoding", "cache-control", "traceresponse"}
    assert names <= ours | {"openai-version", "openai-processing-ms"}


async def test_an_answer_says_who_gave_it_and_what_it_cost(house: House, provider: Chaosprov) -> None:
    await house.adopt("routes: [{name: tagged, match: {tags: [a]}, model: ok}]")
    provider.will(Json(DOCUMENT | {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}))

    answer = await post(house, chat("demo"), x_request_id="mine-1", x_llmgw_tags="a")

    told = {name.removeprefix("x-llmgw-"): value for name, value in answer.headers.items()}
    assert float(told.pop("overhead-ms")) > 0
    assert told["policy"] == house.worker.policy.current.version
    assert (told["route"], told["model"], told["provider"]) == ("tagged", "chaos/ok", "chaos")
    assert (told["attempts"], told["cache"], told["cost-usd"]) == ("1", "bypass", "0.000007")
    assert told["x-request-id"] == "mine-1"


async def test_a_whole_answer_reaches_the_client_byte_for_byte(house: House, provider: Chaosprov) -> None:
    provider.will(Json(DOCUMENT | {"x_vendor": [1.50, {"usage": None}], "ü": "é"}))

    answer = await post(house, chat())

    assert (
        answer.content
        == json.dumps(DOCUMENT | {"x_vendor": [1.50, {"usage": None}], "ü": "é"}, ensure_ascii=False).encode()
    )


@pytest.mark.parametrize("id", ["", "a b", "a" * 129, "../x"])
async def test_a_request_id_that_is_none_is_replaced(house: House, id: str) -> None:
    answer = await post(house, chat("demo"), x_request_id=id)

    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_request_id_that_is_used_twice_has_two_records(house: House) -> None:
    for model in ("demo", "ok"):
        await post(house, chat(model), x_request_id="same")

    assert [(record["id"], record["model"]) for record in await house.records()] == [("same", "demo"), ("same", "ok")]


async def test_a_provider_s_stream_reaches_the_client_as_it_was_written(house: House, provider: Chaosprov) -> None:
    odd = '{"id": "c", "choices": [{"index": 0, "delta": {"content": "\\u00e9"}, "x": [1, {"usage":null}]}], "y": 1.50}'
    provider.will(Event(odd), Say("lo"), Finish(), Usage(5, 2), DONE)

    answer = await post(house, chat(stream=True))

    assert events(answer.content)[0] == odd
