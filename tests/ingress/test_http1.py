"""The server's side of HTTP/1.1: the same requests in any pieces, strict framing, and a deadline for each phase."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.errors import GatewayError
from gateway.ingress.http1 import Connection
from gateway.ingress.reply import Response
from gateway.ingress.request import Limits, Request

POST = b"POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /v1/y?q=1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-A: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
)
GET = b"GET /v1/z HTTP/1.1\r\nHost: h\r\n\r\n"


class Wire(asyncio.Transport):
    """A socket that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Peer:
    """A connection whose handler answers each request with its body, once `answering` is set."""

    def __init__(self, **limits: float) -> None:
        self.requests: list[Request] = []
        self.refused: list[str] = []
        self.cancelled = False
        self.gone: list[Connection] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.wire = Wire()
        self.connection = Connection(
            handler=self.handle,
            refuse=self.refuse,
            limits=Limits(**limits),  # type: ignore[arg-type]
            loop=asyncio.get_running_loop(),
            joined=lambda _: None,
            left=self.gone.append,
            retiring=lambda: False,
        )
        self.connection.connection_made(self.wire)

    async def handle(self, request: Request, response: Response) -> None:
        self.requests.append(request)
        try:
            await self.answering.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            return
        response.whole(200, request.body)

    def refuse(self, error: GatewayError, request: Request, response: Response) -> None:
        self.refused.append(error.code)
        response.fail(error)

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


async def test_requests_read_the_same_wherever_they_are_cut() -> None:
    data = POST + CHUNKED + GET
    for cut in range(1, len(data)):
        peer = Peer()
        peer.connection.data_received(data[:cut])
        await peer.settle()
        peer.connection.data_received(data[cut:])
        await peer.settle()

        assert [(r.method, r.target, r.body) for r in peer.requests] == [
            (b"POST", b"/v1/x", b"hello"),
            (b"POST", b"/v1/y?q=1", b"hello"),
            (b"GET", b"/v1/z", b""),
        ], cut
        assert peer.requests[1].headers[b"x-a"] == b"1, 2"
        assert peer.wire.sent.count(b"HTTP/1.1 200 OK") == 3


async def test_a_request_that_asks_to_change_protocols_is_read_as_if_it_had_not() -> None:
    peer = Peer()
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"

    peer.connection.data_received(POST.replace(b"Host: h\r\n", b"Host: h\r\n" + upgrade))
    await peer.settle()

    assert [r.body for r in peer.requests] == [b"hello"]


async def test_what_follows_a_request_that_cannot_be_trusted_is_not_read() -> None:
    peer = Peer()
    smuggled = POST.replace(b"Content-Length: 5\r\n", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")

    peer.connection.data_received(smuggled + GET)
    peer.connection.data_received(GET)
    await peer.settle()

    assert (peer.requests, peer.refused, peer.wire.closed) == ([], ["bad_http"], True)
    assert peer.wire.sent.count(b"HTTP/1.1 4") == 1


async def test_pipelined_requests_wait_their_turn_and_no_more_than_the_limit_is_read() -> None:
    peer = Peer(pipelined=4)
    peer.answering.clear()

    peer.connection.data_received(GET * 5)
    await peer.settle()
    assert (len(peer.requests), peer.wire.reading) == (1, False)

    peer.answering.set()
    await peer.settle()
    await peer.settle()
    assert (len(peer.requests), peer.wire.reading) == (5, True)


@pytest.mark.parametrize(
    ("data", "limit"),
    [(b"", 75), (b"POST /v1/x HTTP/1.1\r\nHo", 10), (POST[:-2], 60)],
    ids=["idle", "in the head", "in the body"],
)
async def test_each_phase_has_its_deadline(data: bytes, limit: float) -> None:
    peer = Peer()
    now = asyncio.get_running_loop().time()
    if data:
        peer.connection.data_received(data)

    peer.connection.check(now + limit - 1)
    assert not peer.wire.closed

    peer.connection.check(now + limit + 1)
    assert peer.wire.closed
    assert peer.refused == (["request_timeout"] if data else [])


async def test_a_client_that_is_gone_cancels_its_call() -> None:
    peer = Peer()
    peer.answering.clear()
    peer.connection.data_received(GET)
    await peer.settle()

    peer.connection.connection_lost(None)
    await peer.settle()

    assert peer.cancelled


async def test_a_client_that_left_before_its_call_began_is_handled_all_the_same() -> None:
    peer = Peer()
    peer.answering.clear()
    peer.connection.data_received(GET)

    peer.connection.connection_lost(None)
    await peer.settle()

    assert peer.cancelled
    assert peer.gone == [peer.connection]


async def test_a_client_that_closed_its_sending_side_is_probed_and_answered() -> None:
    peer = Peer()
    peer.answering.clear()
    peer.connection.data_received(GET)
    await peer.settle()

    assert peer.connection.eof_received() is True
    assert peer.wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"

    peer.answering.set()
    await peer.settle()
    assert b"HTTP/1.1 200 OK" in peer.wire.sent
    assert peer.wire.closed


async def test_a_client_that_takes_nothing_is_cut() -> None:
    peer = Peer()
    peer.connection.pause_writing()
    now = asyncio.get_running_loop().time()

    peer.connection.check(now + 59)
    assert not peer.wire.closed

    peer.connection.check(now + 61)
    assert peer.wire.closed


async def test_many_small_chunks_are_read_and_endless_framing_is_not() -> None:
    peer = Peer()
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.connection.data_received(head + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
    await peer.settle()
    assert [len(r.body) for r in peer.requests] == [100_000]

    peer = Peer()
    peer.connection.data_received(head + b"1;" + b"x" * 500_000)
    await peer.settle()
    assert peer.refused == ["bad_http"]
