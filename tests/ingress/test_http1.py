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

    def can_write_eof(self) -> bool:
        return False

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


UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


async def test_what_asks_to_change_protocols_reads_the_same_wherever_it_is_cut() -> None:
    asking = POST.replace(b"Host: h\r\n", b"Host: h\r\n" + UPGRADE)
    chunked = CHUNKED.replace(b"Host: h\r\n", b"Host: h\r\n" + UPGRADE)
    data = GET + asking + chunked + GET
    for cut in range(1, len(data)):
        peer = Peer()
        peer.connection.data_received(data[:cut])
        peer.connection.data_received(data[cut:])
        await peer.settle()
        await peer.settle()

        assert [(r.method, r.target, r.body) for r in peer.requests] == [
            (b"GET", b"/v1/z", b""),
            (b"POST", b"/v1/x", b"hello"),
            (b"POST", b"/v1/y?q=1", b"hello"),
            (b"GET", b"/v1/z", b""),
        ], cut


async def test_a_thousand_requests_to_change_protocols_in_one_piece_are_no_trouble() -> None:
    peer = Peer()

    peer.connection.data_received(GET.replace(b"Host: h\r\n", b"Host: h\r\n" + UPGRADE) * 1000)
    await peer.settle()

    assert peer.requests


async def test_a_request_to_change_protocols_that_also_ends_the_connection_still_ends_it() -> None:
    peer = Peer()

    peer.connection.data_received(
        GET.replace(b"Host: h\r\n", b"Host: h\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n")
    )
    await peer.settle()

    assert b"connection: close" in peer.wire.sent
    assert peer.wire.closed


async def test_the_second_request_on_a_connection_has_the_same_deadline_as_the_first() -> None:
    """Its beginning came with the end of the first: the time for its head runs all the same."""
    peer = Peer()
    peer.connection.data_received(GET + GET[:10])
    await peer.settle()
    now = asyncio.get_running_loop().time()

    peer.connection.check(now + 11)

    assert peer.refused == ["request_timeout"]


async def test_the_second_request_that_breaks_off_is_told_so() -> None:
    peer = Peer()
    peer.connection.data_received(GET + GET[:10])
    await peer.settle()

    peer.connection.eof_received()

    assert peer.refused == ["incomplete_body"]


@pytest.mark.parametrize("cut", [0, 5, 1000])
async def test_a_head_that_is_too_large_is_refused_in_any_pieces(cut: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"v" * 1000) for n in range(40))
    for end in (b"", b"\r\n"):
        peer = Peer()
        data = GET + head + end
        for piece in filter(None, (data[:cut], data[cut:])):
            peer.connection.data_received(piece)
        await peer.settle()
        peer.connection.check(asyncio.get_running_loop().time())

        assert (len(peer.requests), peer.wire.closed) == (1, True)


@pytest.mark.parametrize("size", [1, 3])
async def test_requests_in_tiny_pieces_read_the_same(size: int) -> None:
    data = POST + CHUNKED + GET
    peer = Peer()
    for place in range(0, len(data), size):
        peer.connection.data_received(data[place : place + size])
        await peer.settle()

    assert [r.body for r in peer.requests] == [b"hello", b"hello", b""]


async def test_a_body_that_is_awaited_is_asked_for_once() -> None:
    peer = Peer()
    head, _, body = POST.partition(b"\r\n\r\n")
    peer.connection.data_received(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert peer.wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"

    peer.connection.data_received(body)
    await peer.settle()

    assert peer.wire.sent.count(b"HTTP/1.1 ") == 2
    assert [r.body for r in peer.requests] == [b"hello"]


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "bad_http"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "bad_http"),
        (b"GET http://x/ HTTP/1.1\r\nHost: h\r\n\r\n", "bad_target"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX_Y: 1\r\n\r\n", "bad_header"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: a\r\nauthorization: b\r\n\r\n", "duplicate_header"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", "request_too_large"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", "bad_http"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", "bad_http"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unsupported_transfer_coding"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", None),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "bad_http"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", "bad_http"),
        (b"GET / HTTP/1.1\nHost: h\n\n", "bad_http"),
        (b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n", None),
    ],
)
async def test_framing_is_strict_in_one_piece_and_in_many(head: bytes, code: str | None) -> None:
    answers = set()
    for size in (1, 7, len(head)):
        peer = Peer()
        for place in range(0, len(head), size):
            peer.connection.data_received(head[place : place + size])
        await peer.settle()
        answers.add((tuple(peer.refused), len(peer.requests), peer.wire.closed))

    assert len(answers) == 1
    if code is not None:
        assert answers == {((code,), 0, True)}
