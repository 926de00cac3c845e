"""A client that leaves before its call has reached a provider is noticed just as soon (R3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Sleep, Usage
from tests.flow.raw import RawClient, chat, connected, request
from tests.flow.test_deadlines import deaf_listener

LEAVING = {"fin": RawClient.leave, "rst": RawClient.reset}
SOON = 1.0


@pytest.fixture(params=LEAVING)
def leave(request: pytest.FixtureRequest) -> Callable[[RawClient], None]:
    return LEAVING[request.param]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_while_a_provider_is_dialled_ends_its_call(
    house: House, leave: Callable[[RawClient], None], stream: bool
) -> None:
    with deaf_listener() as port:
        await house.adopt(
            f"providers: {{deaf: {{dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', allow_private: true}}}}\n"
            "models: {deaf: {use: deaf/ok}}"
        )
        async with connected(house) as client:
            client.writer.write(request(house, chat("deaf", stream=stream)))
            while house.account()[1] == 0:
                await asyncio.sleep(0.01)
            leave(client)
            async with asyncio.timeout(SOON):
                record = await house.only_record()

    assert (record["status"], [attempt["error"] for attempt in record["attempts"]]) == (499, ["client_disconnected"])
    assert house.account() == (0, 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_half_closes_while_a_provider_is_silent_is_not_taken_for_one_that_left(
    house: House, provider: Chaosprov, stream: bool
) -> None:
    """The provider is silent for long enough that the gateway looks several times whether the client is still there."""
    provider.will(Sleep(1.2), Say("Hel"), Sleep(0.3), Say("lo"), Finish(), Usage(5, 2))
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=stream)))
        client.half_close()

        received = await client.rest()

    final = received.rpartition(b"HTTP/1.1 200 OK")[2]
    assert b"lo" in final
    assert (b"[DONE]" in final) is stream
    assert (await house.only_record())["status"] == 200
