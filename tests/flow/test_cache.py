"""A call that has been answered before is answered again, to the SDK's eye the same, without the provider (R10, R11)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import openai
import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, HANG, Finish, Say, Sleep, Status, Step, Tool, Usage
from tests.flow.client import chunks, post
from tests.flow.raw import chat, connected, request
from tests.flow.test_idempotency import key_of

CACHE = "cache: {default: {exact: {ttl: 1h}, tools: true}}"
WEATHER = [{"type": "function", "function": {"name": "weather", "strict": True, "parameters": {"type": "object"}}}]
ANSWERS: dict[str, tuple[dict[str, Any], tuple[Step, ...]]] = {
    "text": ({}, (Say("Hel"), Say("lo"), Finish(), Usage(9, 2))),
    "a tool": ({"tools": WEATHER}, (Tool("weather", '{"city": "Paris"}'), Finish("tool_calls"), Usage(9, 5))),
    "json": ({"response_format": {"type": "json_object"}}, (Say('{"a":'), Say(" 1}"), Finish(), Usage(9, 4))),
    "no usage": ({}, (Say("Hel"), Say("lo"), Finish())),
}


async def kept(house: House, count: int = 1) -> None:
    """Until so many answers are in the store: they get there off the clients' way."""
    async with asyncio.timeout(5):
        while len((await house.worker.cache.page(limit=1000))[0]) < count:
            await asyncio.sleep(0.01)


def results(answers: Sequence[httpx.Response]) -> list[str]:
    return sorted(answer.headers["x-llmgw-cache"] for answer in answers)


async def whole(sdk: openai.AsyncOpenAI, body: dict[str, Any]) -> dict[str, Any]:
    answer = await sdk.chat.completions.create(**body)
    found: dict[str, Any] = answer.model_dump(exclude={"id", "created"})
    return found


async def streamed(sdk: openai.AsyncOpenAI, body: dict[str, Any]) -> dict[str, Any]:
    async with sdk.chat.completions.stream(**body, stream_options={"include_usage": True}) as stream:
        answer = await stream.get_final_completion()
    found = answer.model_dump(exclude={"id", "created"})
    (found.get("usage") or {}).pop("cost_usd", None)
    return found


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("first", [whole, streamed])
async def test_the_sdk_sees_the_same_answer(
    house: House, provider: Chaosprov, sdk: openai.AsyncOpenAI, kind: str, first: Any
) -> None:
    await house.adopt(CACHE)
    extra, steps = ANSWERS[kind]
    body = {"model": "ok", "messages": [{"role": "user", "content": "hello"}], **extra}
    provider.will(*steps)

    fresh = await first(sdk, body)
    await kept(house)

    assert await first(sdk, body) == fresh
    again = await whole(sdk, body)
    other = await streamed(sdk, body)
    assert again["choices"][0]["finish_reason"] == other["choices"][0]["finish_reason"]
    assert again["choices"][0]["message"]["content"] == other["choices"][0]["message"]["content"]
    assert len(provider.calls) == 1
    outcomes = [(record["outcome"], record["cache"]) for record in await house.records()]
    assert outcomes == [("upstream", "miss")] + [("cache_exact", "hit")] * 3


async def test_a_hit_costs_nothing_and_says_what_it_saved(house: House) -> None:
    await house.adopt(CACHE)
    await post(house, chat())
    await kept(house)
    hit = await post(house, chat())

    miss, record = await house.records()
    assert hit.headers["x-llmgw-cache"] == "hit"
    assert float(hit.headers["x-llmgw-cost-usd"]) == 0
    assert (record["cost_nano_usd"], record["attempts"], record["cache_kind"]) == (0, [], "exact")
    assert record["saved_nano_usd"] == miss["cost_nano_usd"] > 0
    assert record["saved_ms"] > 0
    assert record["cache_entry"] == miss["cache_entry"] == (await house.worker.cache.page())[0][0][0]
    assert house.account() == (miss["cost_nano_usd"], 0)


async def test_without_a_policy_nothing_is_kept(house: House, provider: Chaosprov) -> None:
    await post(house, chat())
    again = await post(house, chat())

    assert again.headers["x-llmgw-cache"] == "bypass"
    assert len(provider.calls) == 2


async def test_other_organisations_have_other_answers(house: House, provider: Chaosprov) -> None:
    await house.adopt("cache: {default: {scope: org}}\ntenants: {default: {}, acme: {}, globex: {}}")
    mine, theirs = await key_of(house, "acme"), await key_of(house, "globex")
    await post(house, chat(), token=mine)
    await kept(house)

    assert (await post(house, chat(), token=theirs)).headers["x-llmgw-cache"] == "miss"
    assert (await post(house, chat(), token=mine)).headers["x-llmgw-cache"] == "hit"
    assert len(provider.calls) == 2


async def test_a_caller_that_may_not_use_the_model_gets_no_answer_of_it(house: House) -> None:
    await house.adopt("cache: {default: {scope: org}}\ntenants: {acme: {teams: {a: {}, b: {models: [demo]}}}}")
    may, may_not = await key_of(house, "acme/a"), await key_of(house, "acme/b")
    await post(house, chat(), token=may)
    await kept(house)

    assert (await post(house, chat(), token=may_not)).status_code == 404


async def test_a_hit_counts_against_the_callers_rate(house: House) -> None:
    await house.adopt(f"{CACHE}\ntenants: {{default: {{rate: {{rpm: 2}}}}}}")
    await post(house, chat())
    await kept(house)
    hit = await post(house, chat())
    refused = await post(house, chat())

    assert (hit.headers["x-llmgw-cache"], hit.headers["x-ratelimit-remaining-requests"]) == ("hit", "0")
    assert refused.status_code == 429


@pytest.mark.parametrize(
    ("steps", "tries"),
    [
        ((Status(500),), 3),
        ((Status(429),), 3),
        ((Say("Hel"), CUT), 1),
        ((Say("Hello"), Finish("length")), 1),
        ((Say("Hello"), Finish("content_filter")), 1),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_went_wrong_is_not_kept(
    house: House, provider: Chaosprov, steps: tuple[Step, ...], tries: int, stream: bool
) -> None:
    await house.adopt(CACHE)
    for _ in range(tries):
        provider.will(*steps)
    await post(house, chat(stream=stream))
    again = await post(house, chat(stream=stream))

    assert again.headers.get("x-llmgw-cache") != "hit"


async def test_a_hundred_identical_streams_are_one_call(house: House, provider: Chaosprov) -> None:
    await house.adopt(CACHE)
    provider.will(Say("Hel"), Sleep(0.2), Say("lo"), Finish(), Usage(9, 2))

    answers = await asyncio.gather(*[post(house, chat(stream=True)) for _ in range(100)])

    assert {answer.status_code for answer in answers} == {200}
    assert {
        "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks(answer.content))
        for answer in answers
    } == {"Hello"}
    assert results(answers) == ["hit"] * 99 + ["miss"]
    assert len(provider.calls) == 1
    records = await house.records()
    assert sum(record["cost_nano_usd"] for record in records) == house.account()[0] > 0
    assert (
        sum(record["outcome"] in ("cache_joined", "cache_exact") for record in records) == 99
    )  # a late one finds it kept


@pytest.mark.parametrize("stream", [True, False])
async def test_a_leader_whose_client_leaves_goes_on_for_those_who_listen(
    house: House, provider: Chaosprov, stream: bool
) -> None:
    await house.adopt(CACHE)
    provider.will(Say("Hel"), Sleep(0.5), Say("lo"), Finish(), Usage(9, 2))
    async with connected(house) as leader:
        leader.writer.write(request(house, chat(stream=stream)))
        await provider.asked(1)
        following = [asyncio.ensure_future(post(house, chat(stream=stream))) for _ in range(10)]
        await asyncio.sleep(0.2)
        leader.reset()
    answers = await asyncio.gather(*following)

    assert results(answers) == ["hit"] * 10
    assert all(b"lo" in answer.content for answer in answers)
    assert len(provider.calls) == 1
    outcomes = [record["outcome"] for record in await house.records()]
    assert sorted(outcomes) == ["cache_joined"] * 10 + ["client_abort"]
    left = next(record for record in await house.records() if record["outcome"] == "client_abort")
    assert left["cost_nano_usd"] == house.account()[0] > 0


async def test_a_provider_is_left_once_nobody_listens(house: House, provider: Chaosprov) -> None:
    await house.adopt(CACHE)
    provider.will(Say("Hel"), HANG)
    async with connected(house) as leader, connected(house) as follower:
        leader.writer.write(request(house, chat(stream=True)))
        call = await provider.asked(1)
        await leader.until(b"Hel")
        follower.writer.write(request(house, chat(stream=True)))
        await follower.until(b"Hel")
        leader.reset()
        await asyncio.sleep(0.1)
        assert call.closed_at is None
        follower.reset()
        await asyncio.wait_for(provider.ended(call), 5)


async def test_a_leader_that_reads_slowly_does_not_slow_the_others(house: House, provider: Chaosprov) -> None:
    await house.adopt(CACHE)
    provider.will(*[Say("x" * 60_000) for _ in range(60)], Finish())
    async with connected(house, receive_buffer=4096) as leader:
        leader.writer.write(request(house, chat(stream=True)))
        await leader.until(b"xxx")
        async with asyncio.timeout(5):
            answer = await post(house, chat(stream=True))
    assert answer.headers["x-llmgw-cache"] == "hit"
    assert answer.content.count(b"x" * 60_000) == 60


async def test_embeddings_are_kept_too(house: House, provider: Chaosprov) -> None:
    await house.adopt(CACHE)
    body = {"model": "ok", "input": "a"}
    first = await post(house, body, path="/v1/embeddings")
    await kept(house)
    again = await post(house, body, path="/v1/embeddings")

    assert again.headers["x-llmgw-cache"] == "hit"
    assert again.json() == first.json()
    assert len(provider.calls) == 1


async def test_a_pace_is_kept(house: House) -> None:
    await house.adopt("cache: {default: {pace: 10}}")
    await post(house, chat())
    await kept(house)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await post(house, chat(stream=True))
    text = "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks(answer.content))

    assert answer.headers["x-llmgw-cache"] == "hit"
    assert loop.time() - began >= len(text) / 10


async def judge(house: House, about: httpx.Response, rating: str, token: str | None = None) -> httpx.Response:
    body = {"request_id": about.headers["x-request-id"], "rating": rating}
    return await post(house, body, path="/v1/feedback", token=token)


@pytest.mark.parametrize("which", ["the first answer", "the hit"])
async def test_a_bad_answer_is_given_to_nobody_any_more(house: House, provider: Chaosprov, which: str) -> None:
    await house.adopt(CACHE)
    first = await post(house, chat())
    await kept(house)
    hit = await post(house, chat())

    good = await judge(house, hit, "good")
    assert (good.status_code, good.json()["forgotten"]) == (200, False)
    bad = await judge(house, first if which == "the first answer" else hit, "bad")
    assert (bad.status_code, bad.json()["forgotten"]) == (200, True)
    assert (await post(house, chat())).headers["x-llmgw-cache"] == "miss"
    assert [r["feedback"]["rating"] for r in await house.records() if r["operation"] == "feedback"] == ["good", "bad"]


async def test_nobody_can_judge_anothers_call(house: House) -> None:
    await house.adopt(f"{CACHE}\ntenants: {{default: {{}}, acme: {{}}}}")
    first = await post(house, chat())
    await kept(house)

    refused = await judge(house, first, "bad", token=await key_of(house, "acme"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "call_not_found")
    assert (await post(house, chat())).headers["x-llmgw-cache"] == "hit"
