"""Plays a script onto a connection, byte by byte as it was written, and keeps the oracle's count of it."""

import asyncio
import fcntl
import json
import socket
import struct
import termios
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.faults import openai
from tests.faults.openai import Asked
from tests.faults.oracle import Call
from tests.faults.steps import (
    DONE,
    Act,
    Body,
    Event,
    Head,
    Json,
    Raw,
    Say,
    Script,
    Sleep,
    Status,
    Step,
    Tool,
    Until,
    Usage,
)


class Ending(Enum):
    """What becomes of the connection after a script."""

    KEEP = "it may carry the next call"
    DOOMED = "it closes when the next call comes"
    CLOSE = "it is closed"


@dataclass(slots=True)
class Player:
    """One answer in the making; it writes, and owns neither connection nor call."""

    asked: Asked
    call: Call
    writer: asyncio.StreamWriter
    script: Script
    _chunked: bool | None = None
    _gathered: list[Step] = field(default_factory=list)
    _first: bool = True

    async def play(self) -> Ending:
        """Plays every step; a `HANG` ends only by being cancelled."""
        for step in self.script.steps:
            if isinstance(step, Act) and step is not DONE:
                ending = await self._act(step)
                if ending is not Ending.KEEP:
                    return ending
            else:
                await self._play(step)
        await self._finish()
        return Ending.KEEP

    async def _play(self, step: Step) -> None:
        match step:
            case Until(event=event):
                await event.wait()
            case Sleep(seconds=seconds):
                await asyncio.sleep(seconds)
            case Status() | Json():
                await self._answer(step)
            case Head():
                await self._head(step)
            case Body(data=data):
                await self._body(data)
            case Raw(data=data):
                await self._write(data)
            case _:
                await self._content(step)

    async def _act(self, act: Act) -> Ending:
        if act is Act.DIE_ON_REUSE:
            await self._finish()
            return Ending.DOOMED
        await self._write_half()
        match act:
            case Act.RESET:
                await reset(self.writer)
            case Act.HALF_CLOSE:
                self.writer.write_eof()
                return Ending.KEEP
            case Act.HANG:
                await asyncio.Event().wait()
        return Ending.CLOSE

    async def _content(self, step: Step) -> None:
        if not self.asked.stream:
            self._gathered.append(step)
            return
        if self._chunked is None:
            await self._head(Head(headers=(("Content-Type", "text/event-stream"),)))
        for data in openai.events(self.asked, step, first=self._first):
            await self._body(f"data: {data}\n\n".encode())
        self._first = False
        self._count(step)

    def _count(self, step: Step) -> None:
        match step:
            case Say(tokens=tokens) | Tool(tokens=tokens) | Event(tokens=tokens):
                self.call.produced += tokens
            case Usage():
                self.call.usage = openai.usage_block(step)

    async def _finish(self) -> None:
        if self._gathered:
            await self._answer(Json(openai.document(self.asked, self._gathered)))
            for step in self._gathered:
                self._count(step)
        elif self._chunked:
            await self._write(b"0\r\n\r\n")

    async def _write_half(self) -> None:
        if not self._gathered:
            return
        payload = _json(openai.document(self.asked, self._gathered))
        await self._head(Head(headers=(("Content-Type", "application/json"),), length=len(payload)))
        await self._body(payload[: len(payload) // 2])
        for step in self._gathered:
            self._count(step)

    async def _answer(self, step: Status | Json) -> None:
        kind = (("Content-Type", "application/json"),)
        if isinstance(step, Json):
            payload, status = _json(step.value), step.status
        else:
            payload, status = _json(openai.error(step.code)) if step.body is None else step.body, step.code
        typed = any(name.lower() == "content-type" for name, _ in step.headers)
        headers = step.headers if typed else kind + step.headers
        await self._head(Head(status=status, headers=headers, length=len(payload)))
        await self._body(payload)

    async def _head(self, head: Head) -> None:
        self._chunked = head.length is None
        framing = ("Transfer-Encoding", "chunked") if head.length is None else ("Content-Length", str(head.length))
        await self._write(head_bytes(head.status, (*head.headers, framing)))

    async def _body(self, data: bytes) -> None:
        if self._chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        for piece in self.script.split.pieces(data, written=self.call.bytes_written):
            self.writer.write(piece)
            await self.writer.drain()
            self.call.bytes_written += len(piece)
            if self.script.split.gapped:
                await asyncio.sleep(self.script.split.gap)


def head_bytes(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """A response head; the reason phrase is left empty."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} \r\n{lines}\r\n".encode("latin-1")


async def reset(writer: asyncio.StreamWriter) -> None:
    """Closes with RST, once the peer's kernel has all that was written before."""
    connection: socket.socket = writer.get_extra_info("socket")
    for _ in range(100):
        if _unacknowledged(connection) == 0:
            break
        await asyncio.sleep(0.001)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _unacknowledged(connection: socket.socket) -> int:
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return int.from_bytes(answer, "little")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
