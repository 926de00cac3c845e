"""Frames that break the rules end the session with the code that says how, and reach nobody."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.conftest import House
from tests.flow.raw import RawClient, connected
from tests.realtime.talker import Talker, told

MASK = b"\x01\x02\x03\x04"
EVENT = told("x.event", text="é" * 200).encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = MASK, reserved: int = 0) -> bytes:
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size) if size < 65536 else b""
    length = length or b"\x7f" + struct.pack("!Q", size)
    if not mask:
        return bytes([fin << 7 | reserved | opcode]) + length + payload
    masked = bytes(each ^ mask[place % 4] for place, each in enumerate(payload))
    return bytes([fin << 7 | reserved | opcode, length[0] | 0x80]) + length[1:] + mask + masked


TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


@asynccontextmanager
async def session(house: House) -> AsyncIterator[RawClient]:
    async with connected(house) as client:
        lines = (
            f"Host: h\r\nAuthorization: Bearer {house.key}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        )
        lines += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        client.writer.write(f"GET /v1/realtime?model=live HTTP/1.1\r\n{lines}\r\n".encode())
        head = await client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        yield client


async def received(client: RawClient) -> tuple[int, bytes]:
    """The next frame's opcode and payload."""
    async with asyncio.timeout(5):
        first, size = await client.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await client.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await client.reader.readexactly(8))
        return first & 15, await client.reader.readexactly(size)


async def close_code(client: RawClient) -> int:
    while (found := await received(client))[0] != CLOSE:
        pass
    return int(struct.unpack("!H", found[1][:2])[0])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, EVENT, mask=b""), 1002),
        (frame(TEXT, EVENT, reserved=0x40), 1002),
        (frame(3, EVENT), 1002),
        (frame(CONTINUED, EVENT), 1002),
        (frame(TEXT, EVENT, fin=False) + frame(TEXT, EVENT), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, struct.pack("!H", 1005)), 1002),
        (frame(TEXT, b'{"type":"\xff\xfe"}'), 1007),
        (frame(TEXT, b'{"type":"\xc3', fin=False) + frame(CONTINUED, b'"}'), 1007),
        (frame(BINARY, EVENT), 1003),
        (bytes([0x81, 0xFF]) + struct.pack("!Q", 2**63 - 1) + MASK, 1009),
        (bytes([0x81, 0xFF]) + struct.pack("!Q", 16 * 1024 * 1024 + 1) + MASK, 1009),
    ],
    ids=range(14),
)
async def test_a_frame_that_breaks_the_rules(house: House, talker: Talker, sent: bytes, code: int) -> None:
    async with session(house) as client:
        client.writer.write(sent)
        assert await close_code(client) == code
        assert await client.rest() == b""

    await talker.closed.get()
    assert talker.heard.empty()
    assert house.account() == (0, 0)
    assert (await house.only_record())["session"]["close_code"] == code


async def test_many_small_pieces_of_a_message_that_is_too_large(house: House, talker: Talker) -> None:
    piece = frame(CONTINUED, b"a" * 1024 * 1024, fin=False, mask=b"\0\0\0\0")
    async with session(house) as client:
        client.writer.write(frame(TEXT, b"", fin=False))
        for _ in range(17):
            client.writer.write(piece)
        assert await close_code(client) == 1009


async def test_pieces_wherever_they_are_cut_with_pings_between(house: House, talker: Talker) -> None:
    async with session(house) as client:
        await received(client)
        for cut in range(0, len(EVENT), 7):
            client.writer.write(frame(TEXT, EVENT[:cut], fin=False) + frame(PING, b"%d" % cut))
            client.writer.write(frame(CONTINUED, b"", fin=False) + frame(PONG) + frame(CONTINUED, EVENT[cut:]))
            assert await received(client) == (PONG, b"%d" % cut)
            assert (await asyncio.wait_for(talker.heard.get(), 5)).encode() == EVENT


async def test_bytes_one_by_one(house: House, talker: Talker) -> None:
    async with session(house) as client:
        for each in frame(TEXT, EVENT):
            client.writer.write(bytes([each]))
            await client.writer.drain()
            await asyncio.sleep(0)

        assert (await asyncio.wait_for(talker.heard.get(), 5)).encode() == EVENT


async def test_what_comes_with_the_handshake_is_part_of_the_session(house: House, talker: Talker) -> None:
    async with connected(house) as client:
        lines = f"Host: h\r\nAuthorization: Bearer {house.key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        lines += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        client.writer.write(f"GET /v1/realtime?model=live HTTP/1.1\r\n{lines}\r\n".encode() + frame(TEXT, EVENT))

        assert (await asyncio.wait_for(talker.heard.get(), 5)).encode() == EVENT


async def test_a_goodbye_is_answered_by_its_own_code(house: House, talker: Talker) -> None:
    async with session(house) as client:
        client.writer.write(frame(CLOSE, struct.pack("!H", 4321) + b"done"))
        while (found := await received(client))[0] != CLOSE:
            pass
        assert found[1] == struct.pack("!H", 4321) + b"done"
        assert await talker.closed.get() == 4321


async def test_half_a_connection_is_none(house: House, talker: Talker) -> None:
    async with session(house) as client:
        client.half_close()

        assert await talker.closed.get() == 1001
    assert (await house.only_record())["outcome"] == "client_abort"


async def test_a_flood_of_pings_to_a_client_that_does_not_listen_ends(house: House, talker: Talker) -> None:
    async with session(house) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionError):
            await _ping_for_ever(client)
    await talker.closed.get()


async def test_events_that_nobody_knows_pass(house: House, talker: Talker) -> None:
    async with session(house) as client:
        client.writer.write(frame(TEXT, EVENT))

        assert json.loads(await asyncio.wait_for(talker.heard.get(), 5))["type"] == "x.event"


async def _ping_for_ever(client: RawClient) -> None:
    while True:
        client.writer.write(frame(PING, b"x" * 125) * 1000)
        await client.writer.drain()
