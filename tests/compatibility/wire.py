"""A wire between the gateway and a provider, on which somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Wire:
    """`url` is what the provider is reached by, and `told` what it was sent, connection after connection."""

    def __init__(self, provider: str) -> None:
        self._provider = urlsplit(provider)
        self._told: list[bytearray] = []
        self.url = ""

    @property
    def told(self) -> bytes:
        return b"\n".join(self._told)

    def forget(self) -> None:
        for each in self._told:
            each.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = bytearray()
        self._told.append(heard)
        answers, questions = await asyncio.open_connection(self._provider.hostname, self._provider.port)
        await asyncio.gather(_pass_on(reader, questions, heard), _pass_on(answers, writer, None))


@asynccontextmanager
async def wire(provider: str) -> AsyncIterator[Wire]:
    found = Wire(provider)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray | None) -> None:
    try:
        while some := await reader.read(65_536):
            if heard is not None:
                heard += some
            writer.write(some)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
