"""A repeated Idempotency-Key gets the first answer, and the provider is called once (P11)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.app import running
from tests.conftest import House, settings
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, HANG, Event, Finish, Say, Sleep, Status, Step, Usage
from tests.flow.client import post
from tests.flow.raw import chat, connected, request


async def once(house: House, body: dict[str, Any], *, key: str = "once", **more: str) -> httpx.Response:
    return await post(house, body, idempotency_key=key, **more)


async def key_of(house: House, tenant: str) -> str:
    """A virtual key of another tenant's."""
    assert house.worker.admin_key is not None
    admin = {"authorization": f"Bearer {house.worker.admin_key.reveal()}"}
    async with httpx.AsyncClient() as client:
        url = f"{house.worker.admin_url}/admin/v1/keys"
        answer = await client.post(url, json={"name": "app", "tenant": tenant}, headers=admin)
        return str(answer.json()["key"])


@pytest.mark.parametrize("stream", [True, False])
async def test_the_same_key_and_body_get_the_same_bytes_for_one_upstream_call(
    house: House, provider: Chaosprov, stream: bool
) -> None:
    first = await once(house, chat(stream=stream))
    second = await once(house, chat(stream=stream))

    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert first.headers["content-type"] == second.headers["content-type"]
    assert (first.headers["x-llmgw-cache"], second.headers["x-llmgw-cache"]) == ("bypass", "hit")
    assert len(provider.calls) == 1


async def test_an_answer_given_again_costs_nothing_and_has_its_own_record(house: House) -> None:
    await once(house, chat())
    second = await once(house, chat())

    records = await house.records()
    assert [record["outcome"] for record in records] == ["upstream", "cache_replay"]
    assert (records[1]["cost_nano_usd"], records[1]["attempts"]) == (0, [])
    assert float(second.headers["x-llmgw-cost-usd"]) == 0
    assert house.account() == (records[0]["cost_nano_usd"], 0)


async def test_embeddings_are_given_again_too(house: House, provider: Chaosprov) -> None:
    body = {"model": "ok", "input": "a"}

    answers = [await once(house, body, path="/v1/embeddings") for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert len(provider.calls) == 1


@pytest.mark.parametrize("other", [chat(temperature=0.5), chat(stream=True), chat("demo")])
async def test_an_idempotency_key_used_again_with_another_body_is_a_conflict(
    house: House, provider: Chaosprov, other: dict[str, Any]
) -> None:
    await once(house, chat())

    answer = await once(house, other)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert answer.headers["x-should-retry"] == "false"
    assert len(provider.calls) == 1


async def test_an_idempotency_key_in_flight_is_a_conflict(house: House, provider: Chaosprov) -> None:
    provider.will(HANG)
    first = asyncio.create_task(once(house, chat()))
    await provider.asked(1)

    second = await once(house, chat())

    assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_conflict")
    first.cancel()
    await provider.disconnected()


async def test_of_many_at_once_one_is_answered(house: House, provider: Chaosprov) -> None:
    provider.will(Sleep(0.3), Say("Hello"), Finish(), Usage(5, 1))

    answers = await asyncio.gather(*(once(house, chat()) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    assert len(provider.calls) == 1


FAILURES: dict[str, tuple[bool, tuple[Step, ...]]] = {
    "refused": (False, (Status(400),)),
    "cut": (True, (Say("Hel"), CUT)),
    "failed in mid-stream": (True, (Say("Hel"), Event({"error": {"message": "no"}}))),
}


@pytest.mark.parametrize("why", FAILURES)
async def test_a_call_that_failed_frees_its_key(house: House, provider: Chaosprov, why: str) -> None:
    stream, steps = FAILURES[why]
    provider.will(*steps)
    await once(house, chat(stream=stream))

    answer = await once(house, chat(stream=stream))

    assert answer.status_code == 200
    assert b'"error"' not in answer.content
    assert len(provider.calls) == 2


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_its_key(house: House, provider: Chaosprov, stream: bool) -> None:
    provider.will(*((Say("Hel"),) if stream else ()), HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=stream), headers="idempotency-key: once\r\n"))
        await (client.until(b"Hel") if stream else provider.asked(1))
        client.reset()
    await house.only_record()

    assert (await once(house, chat(stream=stream))).status_code == 200


async def test_a_client_that_leaves_at_once_frees_its_key(house: House) -> None:
    for number in range(30):
        async with connected(house) as client:
            client.writer.write(request(house, chat("demo"), headers=f"idempotency-key: {number}\r\n"))
            await client.writer.drain()
            client.reset()

    async with asyncio.timeout(3):
        for number in range(30):
            while (await once(house, chat("demo"), key=str(number))).status_code != 200:
                await asyncio.sleep(0.01)


async def test_another_caller_s_key_of_the_same_name_is_another_key(house: House, provider: Chaosprov) -> None:
    other = await key_of(house, "acme/search")
    provider.will(Say("for default"), Finish(), Usage(5, 1))
    provider.will(Say("for acme"), Finish(), Usage(5, 1))

    answers = [await once(house, chat()), await once(house, chat(), token=other)]

    assert [b"for default" in answer.content for answer in answers] == [True, False]
    assert [answer.headers["x-llmgw-cache"] for answer in answers] == ["bypass", "bypass"]


async def test_another_worker_gives_the_same_answer(house: House, provider: Chaosprov) -> None:
    async with running(settings(house.policies, house.data), number=1, records_to=None) as worker:
        other = House(worker, house.policies, house.data)

        answers = [await once(each, chat()) for each in (house, other, house)]

    assert len({answer.content for answer in answers}) == 1
    assert [answer.headers["x-llmgw-cache"] for answer in answers] == ["bypass", "hit", "hit"]
    assert len(provider.calls) == 1


async def test_an_idempotency_key_is_not_endless(house: House, provider: Chaosprov) -> None:
    answer = await once(house, chat(), key="k" * 300)

    assert (answer.status_code, provider.calls) == (400, [])
