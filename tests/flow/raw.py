"""A client that says exactly what it wants to the socket."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.faults.http1 import read_body, read_head


class Reached(Protocol):
    """A gateway, wherever it runs."""

    @property
    def url(self) -> str: ...

    @property
    def key(self) -> str: ...


@dataclass
class RawClient:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, text: bytes) -> bytes:
        """What has come up to and including `text`."""
        return await asyncio.wait_for(self.reader.readuntil(text), 5)

    async def answer(self) -> tuple[int, bytes]:
        """The status and the body of one response; the connection can be used again."""
        async with asyncio.timeout(5):
            head = await read_head(self.reader)
            assert head is not None
            body = await read_body(self.reader, head, until_close=True)
        assert body.whole
        return int(head.start.split(" ")[1]), body.data

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)

    def reset(self) -> None:
        """Leaves by RST instead of FIN."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()

    def leave(self) -> None:
        self.writer.close()

    def half_close(self) -> None:
        self.writer.write_eof()


def request(house: Reached, body: dict[str, Any], *, path: str = "/v1/chat/completions", headers: str = "") -> bytes:
    payload = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {house.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n{headers}\r\n"
    )
    return head.encode() + payload


def chat(model: str = "ok", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Say hello"}], **fields}


@asynccontextmanager
async def connected(house: Reached, *, receive_buffer: int | None = None) -> AsyncIterator[RawClient]:
    """A connection; what nobody reads piles up in `receive_buffer` bytes of the kernel's and in little of ours."""
    place = urlsplit(house.url)
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, (place.hostname, place.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def whole_response(house: Reached, data: bytes) -> bytes:
    """Everything that comes back to a request that asks for the connection to be closed."""
    async with connected(house) as client:
        client.writer.write(data)
        return await client.rest()
