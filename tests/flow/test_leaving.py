"""A client that leaves stops the provider, pays for what was produced, and leaves one record (R3)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import HANG, Finish, Say, Usage
from tests.flow.raw import RawClient, chat, connected, request

LEAVING = {"fin": RawClient.leave, "rst": RawClient.reset}


@pytest.fixture(params=LEAVING)
def leave(request: pytest.FixtureRequest) -> Callable[[RawClient], None]:
    return LEAVING[request.param]


async def test_a_client_that_hangs_up_in_mid_stream_pays_for_what_it_saw_and_no_more(
    house: House, provider: Chaosprov, leave: Callable[[RawClient], None]
) -> None:
    provider.will(Say("Hel"), HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=True)))
        await client.until(b"Hel")

        left = time.monotonic()
        leave(client)
        call = await provider.disconnected()

    assert call.closed_at is not None
    assert call.closed_at - left < 1.0
    record = await house.only_record()
    assert (record["status"], record["outcome"], record["estimated"]) == (499, "client_abort", True)
    assert record["output_tokens"] == 1
    assert house.account() == (record["cost_nano_usd"], 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_on_a_silent_provider_sets_it_free(
    house: House, provider: Chaosprov, leave: Callable[[RawClient], None], stream: bool
) -> None:
    provider.will(HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=stream)))
        await provider.asked(1)

        left = time.monotonic()
        leave(client)
        call = await provider.disconnected()

    assert call.closed_at is not None
    assert call.closed_at - left < 1.0
    record = await house.only_record()
    assert (record["status"], record["cost_nano_usd"]) == (499, None)
    assert house.account() == (0, 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_only_closes_its_sending_side_gets_its_whole_answer(
    house: House, provider: Chaosprov, stream: bool
) -> None:
    provider.will(Say("Hello"), Finish(), Usage(5, 1))
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=stream)))
        client.half_close()
        answer = await client.rest()

    assert b"Hello" in answer
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n" if stream else b"}")
