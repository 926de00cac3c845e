"""A client that stops reading costs no more than the gateway's patience allows (R13)."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Sleep, Usage
from tests.flow.client import post
from tests.flow.raw import chat, connected, request


@pytest.mark.usefixtures("impatient")
async def test_a_reader_that_takes_nothing_is_cut_and_the_provider_closed(house: House, provider: Chaosprov) -> None:
    provider.will(*(Say("x" * 50_000),) * 300, Finish(), Usage(5, 300))
    async with connected(house, receive_buffer=4096) as client:
        client.writer.write(request(house, chat(stream=True)))

        async with asyncio.timeout(5):
            await provider.disconnected()
            record = await house.only_record()

    assert (record["status"], record["outcome"], record["estimated"]) == (499, "client_abort", True)
    assert record["cost_nano_usd"] == house.account()[0] > 0


@pytest.mark.usefixtures("impatient")
async def test_a_reader_that_takes_no_whole_answer_is_cut_and_pays_for_it(house: House, provider: Chaosprov) -> None:
    provider.will(Say("x" * 8_000_000), Finish(), Usage(5, 7))
    async with connected(house, receive_buffer=4096) as client:
        client.writer.write(request(house, chat()))

        record = await house.only_record()
        async with asyncio.timeout(5):
            while house.worker.server.open_connections:
                await asyncio.sleep(0.01)

    assert house.account() == (record["cost_nano_usd"], 0) == (5 * 1000 + 7 * 2000, 0)


@pytest.mark.usefixtures("impatient")
async def test_a_reader_that_takes_a_little_now_and_then_is_not_cut(house: House, provider: Chaosprov) -> None:
    provider.will(*(Say("x" * 10_000), Sleep(0.05)) * 20, Finish(), Usage(5, 20))

    answer = await post(house, chat(stream=True))

    assert answer.text.endswith("data: [DONE]\n\n")
