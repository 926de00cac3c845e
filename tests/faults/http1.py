"""Just enough HTTP/1.1 to read one message off a socket and to see whether it was whole."""

import asyncio
from dataclasses import dataclass

Headers = tuple[tuple[str, str], ...]

HEAD_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """A start line and its headers, in the order and spelling of the wire."""

    start: str
    headers: Headers

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes that came, and whether the framing said that they are all."""

    data: bytes
    whole: bool


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None at the end of the connection."""
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    start, *lines = block[:-4].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Head(start=start, headers=tuple((name, value.strip()) for name, _, value in pairs))


async def read_body(reader: asyncio.StreamReader, head: Head, *, until_close: bool) -> Body:
    """The body that belongs to `head`; `until_close` says what a head without framing means."""
    if "chunked" in (head.header("transfer-encoding") or ""):
        return await _read_chunked(reader)
    length = head.header("content-length")
    if length is not None:
        return await _read_exactly(reader, int(length))
    return await _read_to_end(reader) if until_close else Body(data=b"", whole=True)


async def _read_exactly(reader: asyncio.StreamReader, length: int) -> Body:
    data = bytearray()
    while len(data) < length:
        piece = await _read_some(reader, min(length - len(data), 1 << 16))
        if not piece:
            return Body(data=bytes(data), whole=False)
        data += piece
    return Body(data=bytes(data), whole=True)


async def _read_to_end(reader: asyncio.StreamReader) -> Body:
    data = bytearray()
    while piece := await _read_some(reader, 1 << 16):
        data += piece
    return Body(data=bytes(data), whole=True)


async def _read_chunked(reader: asyncio.StreamReader) -> Body:
    data = bytearray()
    while True:
        line = await _read_line(reader)
        if not line.endswith(b"\r\n"):
            return Body(data=bytes(data), whole=False)
        size = int(line.partition(b";")[0], 16)
        piece = await _read_exactly(reader, size)
        data += piece.data
        if not piece.whole or not (await _read_line(reader)).endswith(b"\r\n"):
            return Body(data=bytes(data), whole=False)
        if size == 0:
            return Body(data=bytes(data), whole=True)


async def _read_some(reader: asyncio.StreamReader, limit: int) -> bytes:
    try:
        return await reader.read(limit)
    except ConnectionError:
        return b""


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ConnectionError:
        return b""
