"""A pooled connection: what one call leaves behind never reaches, and never holds up, the next one."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.errors import Broken, Timeout, Unavailable
from gateway.upstream.connection import Connection

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
LARGE = 100 * 1024


class Wire(asyncio.Transport):
    """A socket that keeps what is written to it; nothing is delivered while reading is paused."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.sent = b""
        self.closed = False
        self.reading = True
        connection.connection_made(self)

    def deliver(self, data: bytes) -> None:
        assert self.reading, "the connection does not read"
        self.connection.data_received(data)

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


@pytest.fixture
async def wire() -> Wire:
    return Wire(Connection(asyncio.get_running_loop(), memoryview(bytearray(65536))))


async def whole(connection: Connection) -> bytes:
    await connection.head()
    body = b""
    while piece := await connection.read():
        body += piece
    return body


async def test_one_exchange_after_the_other(wire: Wire) -> None:
    for body in (b"one", b"two!"):
        wire.connection.send(b"GET / HTTP/1.1\r\n\r\n")
        wire.deliver(HEAD % len(body) + body)

        assert await whole(wire.connection) == body
        assert wire.connection.is_reusable


async def test_a_provider_faster_than_its_reader_is_held_back_and_read_on(wire: Wire) -> None:
    wire.connection.send(b"")
    wire.deliver(HEAD % (2 * LARGE) + bytes(LARGE))
    assert not wire.reading

    assert len(await wire.connection.read()) == LARGE
    wire.deliver(bytes(LARGE))
    assert len(await wire.connection.read()) == LARGE
    assert await wire.connection.read() == b""


async def test_an_answer_nobody_read_does_not_leave_a_kept_connection_deaf(wire: Wire) -> None:
    """Its client left while all of the answer lay here: either the connection is closed, or it reads on."""
    wire.connection.send(b"")
    wire.deliver(HEAD % LARGE + bytes(LARGE))
    await wire.connection.head()

    if wire.connection.is_reusable:
        wire.connection.send(b"")
        wire.deliver(HEAD % 3 + b"two")
        assert await whole(wire.connection) == b"two"


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"", Unavailable), (HEAD[:10], Unavailable), (HEAD % 5 + b"hel", Broken)],
    ids=["before the answer", "in the head", "in the body"],
)
@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_a_connection_that_is_lost_tells_how_far_the_answer_was(
    wire: Wire, data: bytes, kind: type[Exception], error: Exception | None
) -> None:
    wire.connection.send(b"")
    if data:
        wire.deliver(data)
    wire.connection.connection_lost(error)

    with pytest.raises(kind):
        await whole(wire.connection)
    assert not wire.connection.is_reusable


async def test_only_a_kept_connection_that_gave_no_byte_is_stale(wire: Wire) -> None:
    wire.connection.send(b"")
    wire.deliver(HEAD % 2 + b"ok")
    await whole(wire.connection)

    wire.connection.send(b"")
    assert not wire.connection.is_stale
    wire.connection.connection_lost(None)
    assert wire.connection.is_stale


async def test_a_late_answer_fails_its_reader_with_the_phase(wire: Wire) -> None:
    wire.connection.send(b"")
    wire.connection.phase = "the first token"
    reading = asyncio.ensure_future(wire.connection.head())
    await asyncio.sleep(0)

    wire.connection.expire()

    with pytest.raises(Timeout, match="the first token"):
        await reading
    assert wire.closed


async def test_a_whole_answer_wakes_its_reader_for_its_head_and_its_end(wire: Wire) -> None:
    wire.connection.is_whole = True
    wire.connection.send(b"GET")
    wire.deliver(HEAD % 30)
    await wire.connection.head()
    reading = asyncio.ensure_future(wire.connection.read())
    await asyncio.sleep(0)

    for _ in range(2):
        wire.deliver(b"0123456789")
        await asyncio.sleep(0)
        assert not reading.done()
    wire.deliver(b"0123456789")

    assert await reading == b"0123456789" * 3


async def test_what_has_come_of_a_whole_answer_can_be_had_before_its_end(wire: Wire) -> None:
    wire.connection.is_whole = True
    wire.connection.send(b"GET")
    wire.deliver(HEAD % 30 + b"0123456789")

    await wire.connection.head()

    assert wire.connection.arrived() == b"0123456789"
