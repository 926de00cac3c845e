"""`python -m bench.dialects.provider PORT`: one provider that answers at once in every dialect, with answers made beforehand.

The path says the dialect, the request how many words are wanted: those of `LONG` where it says so, else `SHORT`. Of a stream
two events are written at a time, so that a relay reads often, but not once for each.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

from bench.dialects.answers import ANSWERS
from bench.dialects.workload import LONG, SHORT, asks_for

EVENTS_AT_ONCE = 2
END = b"0\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection, kept alive; nobody pipelines here."""

    def __init__(self) -> None:
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's class does not derive from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, blank, body = bytes(self._read).partition(b"\r\n\r\n")
        if not blank:
            return
        if b"chunked" in head.lower():
            body, is_whole = _unchunked(body)
        else:
            is_whole = len(body) >= _length(head)
        if is_whole:
            self._read.clear()
            self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        dialect = dialect_of(path)
        streamed = b"tream" in path or b'"stream":true' in body.replace(b" ", b"")
        pieces = PREPARED[dialect, LONG if asks_for(LONG) in body else SHORT, streamed]
        self._write(pieces, 0)

    def _write(self, pieces: list[bytes], at: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(pieces[at])
        if at + 1 < len(pieces):
            asyncio.get_running_loop().call_soon(self._write, pieces, at + 1)


def dialect_of(path: bytes) -> str:
    """The dialect of a provider's path."""
    if path.endswith(b"/chat/completions"):
        return "chat"
    if b"/messages" in path:
        return "messages"
    if path.endswith(b"/responses"):
        return "responses"
    return "bedrock" if b"/converse" in path else "gemini"


def whole(dialect: str, words: int) -> list[bytes]:
    body = json.dumps(ANSWERS[dialect].whole(words)).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return [head.encode() + body]


def streamed(dialect: str, words: int) -> list[bytes]:
    events = ANSWERS[dialect].events(words)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {ANSWERS[dialect].stream_type}\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    pieces = [b"".join(chunks[at : at + EVENTS_AT_ONCE]) for at in range(0, len(chunks), EVENTS_AT_ONCE)]
    return [head.encode() + pieces[0], *pieces[1:-1], pieces[-1] + END]


PREPARED = {
    (dialect, words, is_streamed): (streamed if is_streamed else whole)(dialect, words)
    for dialect in ANSWERS
    for words in (SHORT, LONG)
    for is_streamed in (False, True)
}


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    """A chunked body as far as it has come, and whether that is all."""
    taken = b""
    while b"\r\n" in body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return taken, True
        taken, body = taken + rest[:length], rest[length + 2 :]
    return taken, False


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
