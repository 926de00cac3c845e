"""A hard budget is never overrun, whatever clients and providers do, and every refusal says what would help."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, HANG, Finish, Say, Status, Step, Usage

HELLO: Any = [{"role": "user", "content": "Say hello"}]
USD = 1_000_000_000


def tenant(text: str) -> str:
    return f"tenants: {{default: {{{text}}}}}"


async def spent(house: House) -> int:
    """Of the one account there is; nothing may be held in it but by slices."""
    (account,) = (await house.balances()).values()
    assert account.held == account.escrowed
    return account.spent


def says(count: int) -> tuple[Step, ...]:
    return (*[Say("word ") for _ in range(count)], Finish(), Usage(10, count), DONE)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_call_cost_is_settled_to_the_nano_dollar(house: House, sdk: AsyncOpenAI, stream: bool) -> None:
    await house.adopt(tenant("budget: [{usd: 1, per: day}]"))

    for _ in range(3):
        if stream:
            answer = await sdk.chat.completions.create(model="ok", messages=HELLO, stream=True)
            assert [chunk async for chunk in answer]
        else:
            await sdk.chat.completions.create(model="ok", messages=HELLO)

    records = await house.records()
    assert await spent(house) == sum(record["cost_nano_usd"] for record in records) > 0


async def test_the_output_cap_is_written_upstream_under_a_hard_budget(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await sdk.chat.completions.create(model="ok", messages=HELLO)
    await house.adopt(tenant("budget: [{usd: 1, per: day}]"))
    await sdk.chat.completions.create(model="ok", messages=HELLO)
    await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=7)
    await house.adopt(tenant("budget: [{usd: 1, per: day, mode: soft}]"))
    await sdk.chat.completions.create(model="ok", messages=HELLO)

    assert [call.json.get("max_tokens") for call in provider.calls] == [None, 4096, 7, None]


async def test_a_call_that_is_not_covered_is_told_what_would_be(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt(tenant("budget: [{usd: 0.002, per: day}]"))

    with pytest.raises(openai.RateLimitError) as refused:
        await sdk.chat.completions.create(model="ok", messages=HELLO)

    error = refused.value
    assert (error.code, error.type, error.param) == (
        "budget_insufficient_for_request",
        "insufficient_quota",
        "max_tokens",
    )
    assert error.response.headers["x-should-retry"] == "false"
    assert provider.calls == []
    affordable = int(error.message.rpartition("up to ")[2].partition(".")[0])
    await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=affordable)
    with pytest.raises(openai.RateLimitError):
        await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=affordable + 100)


async def test_a_spent_budget_refuses_every_call(house: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    await house.adopt(tenant("budget: [{tokens: 400, per: day}]"))
    provider.will(*says(10), *[])
    provider.will(Say("x"), Finish(), Usage(200, 200), DONE)
    await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=20)
    await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=20)

    with pytest.raises(openai.RateLimitError) as refused:
        await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=1)

    assert refused.value.code == "budget_exceeded"
    assert "organisation" in refused.value.message
    assert refused.value.response.headers["x-llmgw-budget-remaining"] == "0"
    assert (await house.records())[-1]["outcome"] == "rejected_budget"
    (account,) = (await house.balances()).values()
    assert account.spent == 420
    assert (account.settled, account.over) == (400, 20)


async def test_a_call_is_shortened_where_the_policy_says_so(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt(tenant("budget: [{usd: 0.002, per: day, on_insufficient: clamp}]"))

    answer = await sdk.chat.completions.with_raw_response.create(model="ok", messages=HELLO)

    assert answer.headers["x-llmgw-clamped"] == "1"
    assert 100 < provider.calls[0].json["max_tokens"] < 1000


async def test_a_model_without_a_price_is_refused_under_a_budget_in_money(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    models = "models: {dear: {use: chaos/ok, max_output: 9}, unpriced: {use: chaos/nobody-knows}}\n"
    await house.adopt(models + tenant("budget: [{usd: 1, per: day}]"))
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.chat.completions.create(model="unpriced", messages=HELLO)
    assert (refused.value.code, refused.value.param) == ("model_not_priced", "model")

    await house.adopt(models + tenant("budget: [{usd: 1, per: day, unpriced: allow}]"))
    provider.will(*says(3))
    await sdk.chat.completions.create(model="unpriced", messages=HELLO)


async def test_every_level_is_charged_or_none(house: House, sdk: AsyncOpenAI) -> None:
    levels = "budget: [{usd: 1, per: day}, {tokens: 1M, per: 24h}], users: {budget: [{tokens: 5000, per: ever}]}"
    await house.adopt(tenant(levels))

    await sdk.chat.completions.create(model="ok", messages=HELLO, user="ann", max_tokens=100)
    with pytest.raises(openai.RateLimitError) as refused:
        await sdk.chat.completions.create(model="ok", messages=HELLO, user="ann", max_tokens=6000)
    await sdk.chat.completions.create(model="ok", messages=HELLO, user="bob", max_tokens=100)

    assert "end user" in refused.value.message
    by_level = {name.partition("|")[0]: account.spent for name, account in (await house.balances()).items()}
    records = await house.records()
    costs = [record["cost_nano_usd"] or 0 for record in records]
    tokens = [(record["input_tokens"] or 0) + (record["output_tokens"] or 0) for record in records]
    assert by_level == {
        "org:default:usd/day": sum(costs),
        "org:default:tokens/86400s": sum(tokens),
        "user:default/ann:tokens/ever": tokens[0],
        "user:default/bob:tokens/ever": tokens[2],
    }


async def test_a_failed_attempt_costs_nothing_and_the_next_one_is_held_for(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt(tenant("budget: [{usd: 1, per: day}]"))
    provider.will(Status(500))
    provider.will(*says(5))

    answer = await sdk.chat.completions.with_raw_response.create(model="ok", messages=HELLO)

    assert answer.headers["x-llmgw-attempts"] == "2"
    assert await spent(house) == 20_000


async def test_a_client_that_leaves_pays_for_what_was_produced(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt(tenant("budget: [{usd: 1, per: day}]"))
    provider.will(Say("Hello"), HANG)

    stream = await sdk.chat.completions.create(model="ok", messages=HELLO, stream=True)
    await anext(aiter(stream))
    await stream.close()

    await provider.disconnected()
    record = await house.only_record()
    assert record["outcome"] == "client_abort"
    assert await spent(house) == record["cost_nano_usd"] > 0


@pytest.mark.parametrize("wants_usage", [True, False])
async def test_a_running_stream_stops_at_its_limit(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, wants_usage: bool
) -> None:
    await house.adopt(tenant("budget: [{tokens: 5000, per: day}]"))
    provider.will(*[Say(" word") for _ in range(20_000)], Finish(), DONE)

    options: Any = {"stream_options": {"include_usage": True}} if wants_usage else {}
    stream = await sdk.chat.completions.create(model="ok", messages=HELLO, stream=True, max_tokens=20_000, **options)
    chunks = [chunk async for chunk in stream]

    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert reasons == ["length"]
    record = await house.only_record()
    assert (record["status"], record["outcome"]) == (200, "stopped_budget")
    assert abs(text.count("word") - record["output_tokens"]) <= 2  # long texts are counted in slices
    assert 4700 < record["output_tokens"] < 5000
    assert await spent(house) == record["input_tokens"] + record["output_tokens"] <= 5000
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert [usage.completion_tokens for usage in usages] == ([record["output_tokens"]] if wants_usage else [])


async def test_what_is_thought_and_not_shown_is_held_for(house: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    await house.adopt(tenant("budget: [{tokens: 30k, per: day}]"))
    provider.will(Say("x"), Finish(), Usage(10, 20_000), DONE)

    stream = await sdk.chat.completions.create(model="ok", messages=HELLO, stream=True, max_tokens=20_000)
    assert [chunk async for chunk in stream]

    (account,) = (await house.balances()).values()
    assert (account.settled, account.over) == (20_010, 0)


async def test_one_giant_chunk_is_not_delivered_beyond_the_limit(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt(tenant("budget: [{tokens: 5000, per: day}]"))
    provider.will(Say("Hello"), Say(" word" * 20_000), Finish(), DONE)

    stream = await sdk.chat.completions.create(model="ok", messages=HELLO, stream=True, max_tokens=20_000)
    chunks = [chunk async for chunk in stream]

    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "Hello"
    assert await spent(house) < 100


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_the_client_s_cap_is_told_in_the_field_that_the_provider_reads(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, name: str
) -> None:
    await house.adopt(tenant("budget: [{usd: 1, per: day}]"))

    await sdk.chat.completions.create(model="ok", messages=HELLO, extra_body={name: 7})

    asked = provider.calls[0].json
    assert (asked["max_tokens"], asked.get("max_completion_tokens")) == (7, None)


async def test_a_cap_that_an_endpoint_does_not_have_is_none(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt(tenant("budget: [{usd: 1, per: day}]"))

    await sdk.completions.create(model="ok", prompt="hi", extra_body={"max_completion_tokens": 1})

    assert provider.calls[0].json["max_tokens"] == 4096


@pytest.mark.parametrize("best_of", ["20", 1e300, 10**30, 0])
async def test_best_of_is_a_number_that_can_be_counted_on(house: House, sdk: AsyncOpenAI, best_of: Any) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.completions.create(model="ok", prompt="hi", extra_body={"best_of": best_of})

    assert refused.value.param == "best_of"


async def test_whatever_is_asked_of_a_soft_budget_leaves_a_record(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt(tenant("budget: [{usd: 1, per: day, mode: soft}]"))
    provider.will(*says(3))

    await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=2**31 - 1, n=128)

    record = await house.only_record()
    assert record["reserved_nano_usd"] > record["cost_nano_usd"] > 0


async def test_a_call_that_is_larger_than_its_rate_is_not_told_to_come_again(house: House, sdk: AsyncOpenAI) -> None:
    await house.adopt(tenant("rate: {tpm: 1000}"))

    with pytest.raises(openai.RateLimitError) as refused:
        await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=5000)

    assert refused.value.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.value.response.headers


async def test_a_provider_that_ignores_its_cap_is_an_overdraft_and_refuses_the_next_call(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt(tenant("budget: [{tokens: 300, per: day}]"))
    provider.will(Say("x"), Finish(), Usage(10, 1000), DONE)
    await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=20)

    with pytest.raises(openai.RateLimitError) as refused:
        await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=1)

    assert refused.value.code == "budget_exceeded"
    (account,) = (await house.balances()).values()
    assert (account.settled, account.over) == (300, 710)


async def test_a_budget_for_some_models_counts_their_calls_alone(house: House, sdk: AsyncOpenAI) -> None:
    await house.adopt(tenant("budget: [{tokens: 300, per: day, models: [demo]}]"))

    await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=10_000)
    with pytest.raises(openai.RateLimitError):
        await sdk.chat.completions.create(model="demo", messages=HELLO, max_tokens=10_000)


async def test_many_calls_at_once_spend_a_budget_and_no_more(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    limit = 20_000
    await house.adopt(tenant(f"budget: [{{tokens: {limit}, per: day}}]"))
    for count in range(1, 601):
        provider.will(*says(count * 7 % 90 + 1))

    async def call() -> bool:
        try:
            await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=100)
        except openai.RateLimitError:
            return False
        return True

    async def client() -> int:
        return sum([await call() for _ in range(20)])

    answered = sum(await asyncio.gather(*(client() for _ in range(30))))

    assert 300 < answered < 600
    assert limit * 0.95 <= await spent(house) <= limit
    assert len(provider.calls) == answered


class TestRates:
    async def test_the_call_after_the_last_is_refused_and_told_when_to_come(
        self, house: House, sdk: AsyncOpenAI, provider: Chaosprov
    ) -> None:
        await house.adopt(tenant("rate: {rpm: 3, tpm: 1M}"))

        left = []
        for _ in range(3):
            answer = await sdk.chat.completions.with_raw_response.create(model="ok", messages=HELLO)
            left.append(answer.headers["x-ratelimit-remaining-requests"])
        with pytest.raises(openai.RateLimitError) as refused:
            await sdk.chat.completions.create(model="ok", messages=HELLO)

        headers = refused.value.response.headers
        assert left == ["2", "1", "0"]
        assert refused.value.code == "rate_limit_exceeded"
        assert 50 <= int(headers["retry-after"]) <= 61
        assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("3", "0")
        assert headers["x-should-retry"] == "true"
        assert len(provider.calls) == 3

    async def test_calls_at_the_same_time_are_limited_and_a_place_comes_back(
        self, house: House, sdk: AsyncOpenAI, provider: Chaosprov
    ) -> None:
        await house.adopt(tenant("rate: {concurrent: 2}"))
        for _ in range(2):
            provider.will(Say("Hello"), HANG)
        streams = [await sdk.chat.completions.create(model="ok", messages=HELLO, stream=True) for _ in range(2)]

        with pytest.raises(openai.RateLimitError) as refused:
            await sdk.chat.completions.create(model="ok", messages=HELLO)
        assert refused.value.code == "concurrency_exceeded"
        for stream in streams:
            await stream.close()
        while len(await house.records()) < 3:
            await asyncio.sleep(0.01)
        await sdk.chat.completions.create(model="ok", messages=HELLO)

    async def test_tokens_per_minute_count_what_was_used(
        self, house: House, sdk: AsyncOpenAI, provider: Chaosprov
    ) -> None:
        await house.adopt(tenant("rate: {tpm: 1000}"))
        provider.will(Say("x"), Finish(), Usage(400, 400), DONE)

        answer = await sdk.chat.completions.with_raw_response.create(model="ok", messages=HELLO, max_tokens=500)
        with pytest.raises(openai.RateLimitError) as refused:
            await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=500)

        assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
        assert refused.value.code == "rate_limit_exceeded"

    async def test_a_kept_answer_takes_a_place_and_no_money(self, house: House, sdk: AsyncOpenAI) -> None:
        await house.adopt(tenant("rate: {rpm: 3}, budget: [{usd: 1, per: day}]"))
        headers = {"idempotency-key": "one"}
        for _ in range(3):
            await sdk.chat.completions.create(model="ok", messages=HELLO, extra_headers=headers)

        with pytest.raises(openai.RateLimitError):
            await sdk.chat.completions.create(model="ok", messages=HELLO, extra_headers=headers)

        costs = [record["cost_nano_usd"] or 0 for record in await house.records()]
        money = next(account for name, account in (await house.balances()).items() if ":usd/" in name)
        assert money.spent == costs[0] == sum(costs)
