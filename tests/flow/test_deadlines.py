"""Each phase of a call has its deadline, and a provider that keeps going is given its time (R18)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, HANG, Body, Finish, Head, Say, Sleep, Step, Usage
from tests.flow.client import events, post
from tests.flow.raw import chat, connected, request

SSE = Head(headers=(("Content-Type", "text/event-stream"),))
PING = Body(b": ping\n\n")
LATE = {
    "headers": (True, "headers: 300ms", (HANG,)),
    "the headers of a whole answer": (False, "whole: 300ms", (HANG,)),
    "the rest of a whole answer": (False, "whole: 300ms", (Say("Hello"), Finish(), HANG)),
    "the first token": (True, "first_token: 300ms", (SSE, HANG)),
    "the first token, comments notwithstanding": (True, "first_token: 300ms", (SSE, *(PING, Sleep(0.05)) * 40, HANG)),
}


async def hasty(house: House, provider: Chaosprov, timeouts: str, *, base_url: str | None = None) -> None:
    """Adds the model `hasty`, whose provider has these deadlines and is tried once."""
    url = base_url or provider.base_url
    await house.adopt(
        "providers:\n"
        f"  hasty: {{dialect: openai, base_url: '{url}', allow_private: true, timeouts: {{{timeouts}}}, "
        "retry: {attempts: 1}}\n"
        "models: {hasty: {use: hasty/ok, price: {in: 1, out: 2}}}\n"
    )


@pytest.mark.parametrize("phase", LATE)
async def test_what_does_not_come_in_time_is_a_504_and_the_provider_is_left(
    house: House, provider: Chaosprov, phase: str
) -> None:
    stream, timeouts, steps = LATE[phase]
    await hasty(house, provider, timeouts)
    provider.will(*steps)

    answer = await asyncio.wait_for(post(house, chat("hasty", stream=stream)), 3)

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    async with asyncio.timeout(1):
        await provider.disconnected()
    record = await house.only_record()
    assert (record["status"], record["error_code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    "silence",
    [(HANG,), (*(PING, Sleep(0.05)) * 60,), (*(Body(b"event: ping\n\n"), Sleep(0.05)) * 60,)],
    ids=["silence", "comments", "events without data"],
)
async def test_a_stream_that_makes_no_progress_ends_with_an_error_event(
    house: House, provider: Chaosprov, silence: tuple[Step, ...]
) -> None:
    await hasty(house, provider, "idle: 300ms")
    provider.will(Say("Hel"), *silence, Say("lo"), Finish(), DONE)

    answer = await asyncio.wait_for(post(house, chat("hasty", stream=True)), 3)

    *said, last = events(answer.content)
    assert "upstream_timeout" in last
    assert len(said) == 1
    assert (await house.only_record())["output_tokens"] == 1


async def test_the_whole_of_a_stream_has_its_deadline_however_steady_it_is(house: House, provider: Chaosprov) -> None:
    await hasty(house, provider, "total: 500ms")
    provider.will(*(Say("word "), Sleep(0.05)) * 60, Finish(), DONE)

    answer = await asyncio.wait_for(post(house, chat("hasty", stream=True)), 2.5)

    told = events(answer.content)
    assert "upstream_timeout" in told[-1]
    assert len(told) > 5


@pytest.mark.parametrize("before", [b"", b": PROCESSING\n\n"], ids=["plain", "each behind a comment"])
async def test_a_slow_but_steady_stream_is_not_cut(house: House, provider: Chaosprov, before: bytes) -> None:
    await hasty(house, provider, "idle: 500ms, first_token: 500ms, headers: 500ms")
    event = before + b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
    provider.will(SSE, *(Body(event), Sleep(0.2)) * 8, Finish(), DONE)

    answer = await post(house, chat("hasty", stream=True))

    assert answer.content.count(b"word") == 8
    assert events(answer.content)[-1] == "[DONE]"


async def test_a_provider_that_takes_no_connections_is_given_up_in_time(house: House, provider: Chaosprov) -> None:
    with deaf_listener() as port:
        await hasty(house, provider, "connect: 300ms", base_url=f"http://127.0.0.1:{port}/v1")

        answer = await asyncio.wait_for(post(house, chat("hasty")), 3)

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_connect_error")


async def test_the_time_that_a_client_takes_to_read_is_not_the_provider_s(house: House, provider: Chaosprov) -> None:
    await hasty(house, provider, "idle: 300ms")
    provider.will(*(Say("x" * 100_000),) * 80, Finish(), Usage(5, 80), DONE)

    async with connected(house, receive_buffer=4096) as client:
        client.writer.write(request(house, chat("hasty", stream=True), headers="connection: close\r\n"))
        await client.until(b"data:")
        await asyncio.sleep(1.2)  # what is tested is that this long pause does no harm
        received = await client.rest()

    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    record = await house.only_record()
    assert (record["status"], record["attempts"][0]["error"]) == (200, None)


@contextmanager
def deaf_listener() -> Iterator[int]:
    """A port whose queue of connections is full, so that another one is neither accepted nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
