"""A client that is slow to read or to write costs little and holds up nobody (R13, R14)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.ingress.reply import Response
from gateway.ingress.request import Limits, Request
from gateway.ingress.server import Routes, Server
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import HANG, Finish, Say, Usage
from tests.flow.raw import chat, connected, request

BUFFERED = 256 * 1024
HASTY = Limits(head_time=0.3, body_time=0.3, idle_time=0.3, write_stall=0.3)
HEAD = b"POST /echo HTTP/1.1\r\nhost: gateway\r\ncontent-length: 2\r\n\r\n"


async def test_little_is_kept_for_a_client_that_reads_nothing_and_the_provider_waits(
    house: House, provider: Chaosprov
) -> None:
    provider.will(*(Say("x" * 50_000),) * 300, Finish(), Usage(5, 300))
    async with connected(house, receive_buffer=4096) as client:
        client.writer.write(request(house, chat(stream=True)))
        call = await provider.asked(1)

        written = await settled(lambda: call.bytes_written)

        assert written < 300 * 50_000
        assert written - in_kernel(provider.port, int(house.url.rpartition(":")[2])) < BUFFERED
        client.reset()
    await provider.disconnected()


async def test_a_client_that_reads_nothing_does_not_hold_up_another(house: House, provider: Chaosprov) -> None:
    provider.will(*(Say("x" * 50_000),) * 300, Finish(), Usage(5, 300))
    async with connected(house, receive_buffer=4096) as slow, connected(house) as other:
        slow.writer.write(request(house, chat(stream=True)))
        call = await provider.asked(1)
        await settled(lambda: call.bytes_written)

        other.writer.write(request(house, chat(), headers="connection: close\r\n"))

        assert (await other.rest()).startswith(b"HTTP/1.1 200 ")
        slow.reset()


async def test_pipelined_requests_are_answered_in_their_order(house: House, provider: Chaosprov) -> None:
    async with connected(house) as client:
        several = [
            request(house, chat("demo", n=number), headers=f"x-request-id: {number}\r\n") for number in (1, 2, 3)
        ]
        last = request(house, chat("demo", stream=True), headers="x-request-id: 4\r\nconnection: close\r\n")
        client.writer.write(b"".join([*several, last]))

        received = await client.rest()

    ids = [line for line in received.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids == [b"x-request-id: 1", b"x-request-id: 2", b"x-request-id: 3", b"x-request-id: 4"]
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert [record["id"] for record in await house.records()] == ["1", "2", "3", "4"]


async def test_pipelined_requests_are_all_answered_though_their_client_has_no_more_to_say(
    house: House, provider: Chaosprov
) -> None:
    async with connected(house) as client:
        client.writer.write(request(house, chat("ok")) * 3)
        client.half_close()

        received = await client.rest()

    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3


async def test_what_a_client_pipelined_before_it_left_is_not_begun(house: House, provider: Chaosprov) -> None:
    provider.will(HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat("ok")) * 3)
        await provider.asked(1)
        client.reset()
        await provider.disconnected()

    assert (await house.only_record())["status"] == 499
    assert len(provider.calls) == 1


@pytest.mark.parametrize("sent", [b"POST /echo HT", HEAD[:-2], HEAD + b"{", HEAD], ids=["line", "head", "body", "none"])
async def test_a_slow_sender_is_told_so(sent: bytes) -> None:
    async with hasty_server() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)

        answer = await asyncio.wait_for(reader.read(), 3)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"request_timeout"' in answer


async def test_a_connection_that_idles_is_closed_without_a_word() -> None:
    async with hasty_server() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"{}")
        await reader.readuntil(b"{}")

        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()


async def settled(measure: Callable[[], int]) -> int:
    """The value, once it has begun to grow and has then not grown for a while."""
    before = -1
    while (now := measure()) != before or now == 0:
        before = now
        await asyncio.sleep(0.2)
    return now


def in_kernel(*ports: int) -> int:
    """The bytes that lie in queues of the kernel, in both directions, on connections to or from these ports."""
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if not {int(fields[column].rpartition(":")[2], 16) for column in (1, 2)}.isdisjoint(ports):
            total += sum(int(queue, 16) for queue in fields[4].split(":"))
    return total


@asynccontextmanager
async def hasty_server() -> AsyncIterator[int]:
    """The data plane's server with one route and little patience; gives its port."""

    async def echo(request: Request, response: Response, id: str) -> None:
        response.whole(200, request.body)

    server = Server(Routes({(b"POST", b"/echo"): echo}), limits=HASTY, policy_version=lambda: "v")
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sweep = asyncio.create_task(server.sweep())
    await server.listen(sock)
    try:
        yield sock.getsockname()[1]
    finally:
        sweep.cancel()
        await server.drain(0)
