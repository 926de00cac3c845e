"""What follows a request and is none changes nothing for the request before it."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from gateway.ingress.request import Limits
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Finish, Say, Sleep, Usage
from tests.flow.raw import chat, connected, request

SLOW = (Say("Hel"), Sleep(0.4), Say("lo"), Finish(), Usage(5, 2), DONE)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request must have come within 0.3 s of its first byte. To be asked for before the house."""
    monkeypatch.setattr("gateway.app.Limits", partial(Limits, head_time=0.3))


@pytest.mark.usefixtures("impatient")
async def test_an_empty_line_behind_a_body_is_not_the_beginning_of_a_request(house: House) -> None:
    """RFC 9112, 2.2: some clients send one."""
    async with connected(house) as client:
        client.writer.write(request(house, chat("demo")) + b"\r\n")
        assert (await client.answer())[0] == 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 1.2)

        client.writer.write(request(house, chat("demo")) + b"\r\n")

        assert (await client.answer())[0] == 200


@pytest.mark.parametrize("half_closes", [False, True])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_is_answered_whole_though_nonsense_follows_it(
    house: House, provider: Chaosprov, stream: bool, half_closes: bool
) -> None:
    provider.will(*SLOW)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=stream)) + b"NON SENSE\r\n\r\n")
        await provider.asked(1)
        if half_closes:
            client.half_close()

        received = await client.rest()

    assert b"lo" in received
    assert received.endswith(b"[DONE]\n\n\r\n0\r\n\r\n" if stream else b"}")
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert (await house.only_record())["status"] == 200
