"""A repeated Idempotency-Key gets the first answer, and the provider is called once (P11)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import HANG, Finish, Say, Status, Usage
from tests.flow.raw import chat


async def post(house: House, body: dict[str, Any], *, key: str = "once", token: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token or house.key}", "idempotency-key": key}
    async with httpx.AsyncClient() as client:
        return await client.post(f"{house.url}/v1/chat/completions", json=body, headers=headers)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_same_key_and_body_get_the_same_bytes_for_one_upstream_call(
    house: House, provider: Chaosprov, stream: bool
) -> None:
    first = await post(house, chat(stream=stream))
    second = await post(house, chat(stream=stream))

    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert first.headers["content-type"] == second.headers["content-type"]
    assert (first.headers["x-llmgw-cache"], second.headers["x-llmgw-cache"]) == ("bypass", "hit")
    assert len(provider.calls) == 1
    records = await house.records()
    assert [record["outcome"] for record in records] == ["upstream", "cache_replay"]
    assert records[1]["cost_nano_usd"] == 0
    assert house.account()[0] == records[0]["cost_nano_usd"]


async def test_an_idempotency_key_used_again_with_another_body_is_a_conflict(house: House) -> None:
    await post(house, chat())

    answer = await post(house, chat(temperature=0.5))

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_conflict")


async def test_an_idempotency_key_in_flight_is_a_conflict(house: House, provider: Chaosprov) -> None:
    provider.will(HANG)
    first = asyncio.create_task(post(house, chat()))
    await provider.asked(1)

    second = await post(house, chat())

    assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_conflict")
    first.cancel()
    await provider.disconnected()


async def test_a_call_that_failed_frees_its_key(house: House, provider: Chaosprov) -> None:
    provider.will(Status(400))
    failed = await post(house, chat())
    provider.will(Say("Hello"), Finish(), Usage(5, 1))

    answer = await post(house, chat())

    assert (failed.status_code, answer.status_code) == (400, 200)
    assert len(provider.calls) == 2
