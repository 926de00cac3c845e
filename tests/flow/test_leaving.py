"""A client that leaves stops the provider, pays for what was produced, and leaves one record (R3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, HANG, Event, Finish, Head, Say, Status, Step, Usage
from tests.flow.client import post
from tests.flow.raw import RawClient, chat, connected, request

LEAVING = {"fin": RawClient.leave, "rst": RawClient.reset}
SSE = Head(headers=(("Content-Type", "text/event-stream"),))
PHASES: dict[str, tuple[bool, tuple[Step, ...], bytes]] = {
    "before the head of a stream": (True, (HANG,), b""),
    "before the first token": (True, (SSE, HANG), b""),
    "in mid-stream": (True, (Say("Hel"), Say("lo"), HANG), b'"lo"'),
    "after the finish": (True, (Say("Hel"), Finish(), HANG), b'"stop"'),
    "before the head of a whole answer": (False, (HANG,), b""),
    "within a whole answer": (False, (Say("Hello"), Finish(), HANG), b""),
}


@pytest.fixture(params=LEAVING)
def leave(request: pytest.FixtureRequest) -> Callable[[RawClient], None]:
    return LEAVING[request.param]


@pytest.mark.parametrize("phase", PHASES)
async def test_a_provider_is_left_soon_after_its_client_has_left(
    house: House, provider: Chaosprov, leave: Callable[[RawClient], None], phase: str
) -> None:
    stream, steps, seen = PHASES[phase]
    delays = []
    for number in range(1, 6):
        provider.will(*steps)
        async with connected(house) as client:
            client.writer.write(request(house, chat(stream=stream)))
            call = await provider.asked(number)
            await client.until(seen) if seen else None

            left = time.monotonic()
            leave(client)
            await asyncio.wait_for(provider.ended(call), 5)

        assert call.closed_at is not None
        delays.append(call.closed_at - left)

    assert sorted(delays)[2] <= 0.25
    assert max(delays) <= 1.0


async def test_a_client_that_hangs_up_in_mid_stream_pays_for_what_it_saw_and_no_more(
    house: House, provider: Chaosprov, leave: Callable[[RawClient], None]
) -> None:
    provider.will(Say("Hel"), HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=True)))
        await client.until(b"Hel")
        leave(client)
        await provider.disconnected()

    record = await house.only_record()
    assert (record["status"], record["outcome"], record["estimated"]) == (499, "client_abort", True)
    assert record["output_tokens"] == 1
    assert house.account() == (record["cost_nano_usd"], 0)


async def test_a_client_that_hangs_up_after_the_usage_pays_exactly_that(
    house: House, provider: Chaosprov, leave: Callable[[RawClient], None]
) -> None:
    provider.will(Say("Hel"), Finish(), Usage(11, 7), HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=True)))
        await client.until(b'"stop"')
        leave(client)
        await provider.disconnected()

    record = await house.only_record()
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (11, 7, False)
    assert house.account() == (11 * 1000 + 7 * 2000, 0)


async def test_usage_told_before_the_client_left_is_a_floor_of_what_it_pays(house: House, provider: Chaosprov) -> None:
    usage = {"prompt_tokens": 50, "completion_tokens": 1, "total_tokens": 51}
    choice = {"index": 0, "delta": {"content": "one two three four five six"}, "finish_reason": None}
    provider.will(Event({"choices": [choice], "usage": usage}), Say(" seven"), HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=True)))
        await client.until(b"seven")
        client.reset()
        await provider.disconnected()

    record = await house.only_record()
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (50, 7, True)


@pytest.mark.parametrize("end", [(), (Finish(), DONE)], ids=["cut", "complete"])
async def test_a_client_that_leaves_while_its_tokens_are_counted_pays_all_the_same(
    house: House, provider: Chaosprov, end: tuple[Step, ...]
) -> None:
    """The first count of a worker reads a vocabulary, which takes long enough to leave meanwhile."""
    provider.will(Say("Hello"), *end)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=True)))
        await client.until(b"Hello")
        await provider.ended(provider.calls[0])
        client.reset()

    record = await house.only_record()
    assert (record["output_tokens"], record["estimated"]) == (1, True)
    assert house.account() == (record["cost_nano_usd"], 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_on_a_silent_provider_holds_nothing(
    house: House, provider: Chaosprov, leave: Callable[[RawClient], None], stream: bool
) -> None:
    provider.will(HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=stream)))
        await provider.asked(1)
        leave(client)
        await provider.disconnected()

    record = await house.only_record()
    assert (record["status"], record["error_code"]) == (499, "client_disconnected")
    assert [attempt["error"] for attempt in record["attempts"]] == ["client_disconnected"]
    assert house.account() == (0, 0)


async def test_a_client_that_leaves_at_once_leaves_one_record_or_none_and_holds_nothing(
    house: House, provider: Chaosprov
) -> None:
    for number in range(50):
        async with connected(house) as client:
            client.writer.write(request(house, chat(), headers=f"x-request-id: {number}\r\n"))
            await client.writer.drain()
            client.reset()
    await house.worker.server.drain(2)

    ids = [record["id"] for record in await house.records()]
    assert len(ids) == len(set(ids))
    assert len(ids) >= len(provider.calls)
    assert house.account()[1] == 0


async def test_a_client_that_leaves_while_a_retry_waits_its_turn_is_not_served(
    house: House, provider: Chaosprov
) -> None:
    provider.will(Status(503, headers=(("Retry-After", "1"),)))
    async with connected(house) as client:
        client.writer.write(request(house, chat()))
        await provider.ended(await provider.asked(1))
        client.reset()

    record = await house.only_record()
    assert (record["status"], len(record["attempts"])) == (499, 1)
    assert len(provider.calls) == 1


async def test_a_deployment_is_not_blamed_for_clients_that_leave(house: House, provider: Chaosprov) -> None:
    for number in range(1, 5):
        provider.will(Say("Hel"), HANG) if number % 2 else provider.will(HANG)
        async with connected(house) as client:
            client.writer.write(request(house, chat(stream=True)))
            await provider.asked(number)
            client.reset()
            await provider.ended(provider.calls[-1])

    assert (await post(house, chat())).status_code == 200


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
    assert (await house.only_record())["status"] == 200
