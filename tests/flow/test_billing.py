"""A call is billed as the provider's invoice has it: in its record, in its header, in its stream and in the account."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Event, Finish, Json, Say
from tests.flow.client import chunks, post
from tests.flow.raw import chat

SPOKEN = "models: {spoken: {use: chaos/spoken, price: {in: 1, out: 2, cached_in: 0.25, audio_in: 40, audio_out: 80}}}"
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 50, "text_tokens": 50},
    "completion_tokens_details": {"audio_tokens": 20, "text_tokens": 10, "reasoning_tokens": 0},
}
COST = 10 * 1000 + 40 * 250 + 50 * 40_000 + 10 * 2000 + 20 * 80_000


def whole(usage: Any) -> Json:
    message = {"role": "assistant", "content": "hi"}
    return Json({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})


async def test_cached_and_audio_tokens_are_billed_at_their_own_prices(house: House, provider: Chaosprov) -> None:
    await house.adopt(SPOKEN)
    provider.will(whole(USAGE))

    answer = await post(house, chat("spoken"))

    record = await house.only_record()
    assert record["cost_nano_usd"] == COST == 3_640_000
    assert answer.headers["x-llmgw-cost-usd"] == "0.00364"
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (100, 30, False)
    assert (record["cached_tokens"], record["audio_tokens"], record["cache_write_tokens"]) == (40, 70, 0)


async def test_a_stream_is_billed_alike_and_says_so(house: House, provider: Chaosprov) -> None:
    await house.adopt(SPOKEN)
    provider.will(Say("hi"), Finish(), Event({"choices": [], "usage": USAGE}), DONE)

    answer = await post(house, chat("spoken", stream=True, stream_options={"include_usage": True}))

    record = await house.only_record()
    assert chunks(answer.content)[-1]["usage"] == USAGE | {"cost_usd": 0.00364}
    assert record["cost_nano_usd"] == COST


@pytest.mark.parametrize(("prompt", "cost"), [(1000, 1000 * 1000 + 5_000_000), (1001, 1001 * 3000 + 5_000_000)])
async def test_a_long_prompt_is_billed_wholly_at_its_tier_and_each_request_has_its_fee(
    house: House, provider: Chaosprov, prompt: int, cost: int
) -> None:
    price = "{in: 1, out: 2, request: 0.005, tiers: [{above: 1k, in: 3}]}"
    await house.adopt(f"models: {{long: {{use: chaos/long, price: {price}}}}}")
    provider.will(whole({"prompt_tokens": prompt, "completion_tokens": 0}))

    await post(house, chat("long"))

    assert (await house.only_record())["cost_nano_usd"] == cost


async def test_tokens_written_to_a_cache_are_billed_and_recorded(house: House, provider: Chaosprov) -> None:
    await house.adopt("models: {writes: {use: chaos/writes, price: {in: 3, out: 15, cache_write: 3.75}}}")
    details = {"cached_tokens": 0, "cache_write_tokens": 100}
    provider.will(whole({"prompt_tokens": 194, "completion_tokens": 2, "prompt_tokens_details": details}))

    await post(house, chat("writes"))

    record = await house.only_record()
    assert record["cache_write_tokens"] == 100
    assert record["cost_nano_usd"] == 94 * 3000 + 100 * 3750 + 2 * 15_000
