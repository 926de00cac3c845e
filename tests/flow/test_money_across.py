"""Under a hard budget nothing is lost and nothing run past, whichever dialects a client and a provider speak (R1, R3)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, HANG, Body, Head, Json, Status, Step
from tests.flow.client import post
from tests.flow.raw import RawClient, connected, request
from tests.flow.speakers import CLIENTS, COST, FIRST, LAST, SPEAKERS, Client, Speaker, policy

LIMIT = 10_000_000
"""Nano-USD."""


@pytest.fixture(params=SPEAKERS)
def speaker(request: pytest.FixtureRequest) -> Speaker:
    return SPEAKERS[request.param]


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


def budget(nano: int, more: str = "") -> str:
    return f"tenants: {{default: {{budget: [{{usd: {nano / 1e9:.9f}, per: ever{more}}}]}}}}\n"


async def until(client: RawClient, text: str) -> None:
    """Reads as far as this text."""
    received = b""
    async with asyncio.timeout(5):
        while text.encode() not in received:
            data = await client.reader.read(65536)
            assert data, received
            received += data


async def records(house: House, count: int) -> list[Mapping[str, Any]]:
    """That many, once they are there; and no more."""
    async with asyncio.timeout(5):
        while len(found := await house.records()) < count:
            await asyncio.sleep(0.01)
    assert len(found) == count
    return found


async def balance(house: House) -> tuple[int, int]:
    """What the budget's account has spent and holds, in nano-USD."""
    (account,) = (await house.balances()).values()
    return account.spent, account.held


async def settled(house: House) -> int:
    """What is spent once nothing is held; at no time were both together more than the limit."""
    async with asyncio.timeout(5):
        while True:
            spent, held = await balance(house)
            assert spent + held <= LIMIT
            if not house.worker.budgets.held():
                return spent
            await asyncio.sleep(0.01)


async def test_a_client_that_leaves_gives_back_the_hold_and_pays_for_what_was_made(
    house: House, provider: Chaosprov, speaker: Speaker, client: Client
) -> None:
    await house.adopt(budget(LIMIT) + policy(provider))
    phases: list[tuple[bool, tuple[Step, ...], str]] = [
        (False, (HANG,), ""),
        (True, (HANG,), ""),
        (True, (*speaker.first, HANG), FIRST),
        (True, (*speaker.first, *speaker.last, HANG), LAST),
    ]
    for number, (stream, steps, seen) in enumerate(phases, 1):
        provider.will(*steps)
        async with connected(house) as left:
            left.writer.write(request(house, client.asks(speaker.name, stream=stream), path=client.path))
            await provider.asked(number)
            await until(left, seen) if seen else None
            assert house.worker.budgets.held()
            left.reset()
            await records(house, number)

    found = await records(house, len(phases))
    assert [each["status"] for each in found] == [499] * 4
    assert [each["cost_nano_usd"] or 0 for each in found[:2]] == [0, 0]
    assert [each["output_tokens"] for each in found[2:]] == [1, 2]
    assert found[3]["estimated"]
    assert all(each["input_tokens"] >= 2 for each in found[2:])
    assert await settled(house) == sum(each["cost_nano_usd"] or 0 for each in found) == house.account()[0]


async def test_a_provider_that_breaks_off_before_its_usage_is_paid_for_what_it_made(
    house: House, provider: Chaosprov, speaker: Speaker, client: Client
) -> None:
    await house.adopt(budget(LIMIT) + policy(provider))
    provider.will(*speaker.first, CUT)
    provider.will(*speaker.first, *speaker.last, CUT)

    for number in (1, 2):
        answer = await post(house, client.asks(speaker.name, stream=True), path=client.path)
        assert FIRST in answer.text
        await records(house, number)

    found = await records(house, 2)
    assert [each["output_tokens"] for each in found] == [1, 2]
    assert found[1]["estimated"]
    assert await settled(house) == sum(each["cost_nano_usd"] for each in found) > 0


async def test_a_whole_answer_that_breaks_off_is_paid_for_as_far_as_it_came(
    house: House, provider: Chaosprov, speaker: Speaker, client: Client
) -> None:
    await house.adopt(budget(LIMIT) + policy(provider))
    assert isinstance(speaker.whole, Json)
    document = json.dumps(speaker.whole.value).encode()
    head = Head(headers=(("content-type", "application/json"),), length=len(document))
    provider.will(head, Body(document[: document.index(LAST.encode()) + len(LAST)]), CUT)

    answer = await post(house, client.asks(speaker.name), path=client.path)

    assert answer.status_code == 502
    (record,) = await records(house, 1)
    assert record["estimated"]
    assert record["input_tokens"] > 0
    assert await settled(house) == record["cost_nano_usd"] > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_provider_tells_is_billed_to_the_client_of_any_dialect(
    house: House, provider: Chaosprov, speaker: Speaker, client: Client, stream: bool
) -> None:
    await house.adopt(budget(LIMIT) + policy(provider))
    provider.will(*(speaker.stream if stream else (speaker.whole,)))

    answer = await post(house, client.asks(speaker.name, stream=stream), path=client.path)

    assert answer.status_code == 200
    assert FIRST in answer.text
    (record,) = await records(house, 1)
    assert (record["cost_nano_usd"], record["estimated"]) == (COST, False)
    assert await settled(house) == COST


async def test_only_the_answer_that_is_given_is_billed_after_a_fallback(
    house: House, provider: Chaosprov, speaker: Speaker, client: Client
) -> None:
    """What fails before its first text is passed by and free; what fails after it is the answer, and nobody else is asked."""
    other = next(each for name, each in SPEAKERS.items() if name != speaker.name)
    both = f"  both: {{use: {speaker.use}, fallback: [{other.name}], price: {{in: 9, out: 9}}}}\n"
    await house.adopt(budget(LIMIT) + policy(provider) + both)
    provider.will(Status(500))
    provider.will(*other.stream)
    provider.will(*speaker.first, CUT)

    answers = [await post(house, client.asks("both", stream=True), path=client.path) for _ in range(2)]

    found = await records(house, 2)
    assert LAST in answers[0].text
    assert len(provider.calls) == 3
    assert [len(each["attempts"]) for each in found] == [2, 1]
    assert found[0]["cost_nano_usd"] == COST
    assert found[1]["cost_nano_usd"] == (found[1]["input_tokens"] + 1) * 9000
    assert await settled(house) == sum(each["cost_nano_usd"] for each in found)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_budget_that_is_just_enough_is_and_one_nano_dollar_less_is_not(
    house: House, provider: Chaosprov, speaker: Speaker, client: Client, stream: bool
) -> None:
    body = client.asks(speaker.name, stream=stream)
    await house.adopt(budget(LIMIT) + policy(provider))
    provider.will(HANG)
    async with connected(house) as left:
        left.writer.write(request(house, body, path=client.path))
        await provider.asked(1)
        (needed,) = house.worker.budgets.held().values()
        left.reset()
        await records(house, 1)
    assert 0 < needed < LIMIT

    statuses = []
    for nano in (1, needed - 1, needed):
        await house.adopt(budget(nano) + policy(provider))
        provider.will(*(speaker.stream if stream else (speaker.whole,)))
        answer = await post(house, body, path=client.path)
        statuses.append(answer.status_code)

    assert statuses == [429, 429, 200]
    assert len(provider.calls) == 2
    found = await records(house, 4)
    assert [each["error_code"] for each in found[1:3]] == ["budget_insufficient_for_request"] * 2
    assert await settled(house) == COST <= needed


async def test_tokens_are_counted_for_nothing_and_in_no_budget_or_rate(house: House, provider: Chaosprov) -> None:
    limits = "tenants: {default: {budget: [{usd: 0.000000001, per: ever}], rate: {rpm: 1}}}\n"
    await house.adopt(limits + policy(provider))

    answers = [await post(house, CLIENTS["messages"].asks(name), path="/v1/messages/count_tokens") for name in SPEAKERS]

    assert [answer.status_code for answer in answers] == [200] * len(SPEAKERS)
    assert not provider.calls
    assert not await house.balances()
