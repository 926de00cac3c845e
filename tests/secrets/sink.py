"""A server that keeps what it is sent and always answers the same: a webhook that fails, or whoever collects telemetry."""

from __future__ import annotations

import asyncio
import gzip
from types import TracebackType
from typing import Self

from tests.faults.http1 import read_body, read_head


class Sink:
    """An async context manager. `heads` are the request lines and headers of what arrived, `bodies` what they carried."""

    def __init__(self, status: int, body: bytes = b"") -> None:
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.port = 0
        self._answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body)
        self._arrived = asyncio.Condition()

    async def arrived(self, count: int) -> None:
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.bodies) >= count)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        if head is not None:
            body = (await read_body(reader, head, until_close=False)).data
            async with self._arrived:
                self.heads.append(f"{head.start}\n{head.headers}")
                self.bodies.append(gzip.decompress(body) if head.header("content-encoding") == "gzip" else body)
                self._arrived.notify_all()
            writer.write(self._answer)
        writer.close()
