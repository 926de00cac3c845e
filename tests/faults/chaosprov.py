"""A scripted, misbehaving provider that speaks OpenAI's dialect on loopback, and the oracle of what it was asked.

In a test: `async with Chaosprov() as provider`, then `provider.will(Say("Hel"), HANG)` scripts the next call. Without a
script the upstream model's name chooses the answer (`faults.py`; whatever follows an `@` in the name is ignored).
As a process, `python -m tests.faults.chaosprov --port 0` prints its address and then one JSON line per call, and
answers `GET /__oracle?after=N` with every call numbered above N. A base URL with `/reset-at-head` or `/reset-at-half`
before its `/v1` resets calls before they have been read.
"""

import argparse
import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.faults import faults
from tests.faults.http1 import HEAD_LIMIT, Head, read_body, read_head
from tests.faults.openai import asked_by
from tests.faults.oracle import Call
from tests.faults.player import Ending, Player, head_bytes, reset
from tests.faults.steps import WHOLE, Script, Split, Step


class Chaosprov:
    """The provider: an async context manager that listens while it is open."""

    def __init__(self, *, port: int = 0, on_ended: Callable[[Call], None] | None = None) -> None:
        self.calls: list[Call] = []
        self.open_connections = 0
        self._port = port
        self._on_ended = on_ended
        self._scripts: deque[Script] = deque()
        self._connections: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._connection_count = 0
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def will(self, *steps: Step, split: Split | Sequence[int] = WHOLE) -> None:
        """Scripts the next call that has no script yet; `split` cuts its bytes at these offsets."""
        cuts = split if isinstance(split, Split) else Split(at=tuple(split))
        self._scripts.append(Script(steps=steps, split=cuts))

    async def asked(self, count: int = 1) -> Call:
        """Waits for the call of that number (from 1) to have arrived whole."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.calls) >= count)
        return self.calls[count - 1]

    async def disconnected(self) -> Call:
        """Waits until a peer has closed under an answer; the first call that happened to."""
        async with self._changed:
            await self._changed.wait_for(lambda: any(call.closed_at for call in self.calls))
        return next(call for call in self.calls if call.closed_at)

    async def ended(self, call: Call) -> None:
        """Waits until the answer to `call` has ended, in whatever way."""
        async with self._changed:
            await self._changed.wait_for(lambda: call.ended_at is not None)

    async def idle(self) -> None:
        """Waits until no connection is open."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.open_connections == 0)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()

    def _protocol(self) -> asyncio.BaseProtocol:
        return Watched(self._accepted)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        self._connection_count += 1
        connection = self._connection_count
        writer.transport.set_write_buffer_limits(high=0)
        try:
            while await self._answer_next(reader, writer, connection) is Ending.KEEP:
                pass
        finally:
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()
            self.open_connections -= 1
            await self._notify()

    async def _answer_next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> Ending:
        head = await read_head(reader)
        if head is None:
            return Ending.CLOSE
        if "/reset-at-" in head.start:
            return await self._reset_early(head, reader, writer)
        body = await read_body(reader, head, until_close=False)
        method, path, _ = (head.start + "  ").split(" ", 2)
        if path.startswith("/__oracle"):
            return await self._tell(path, writer)
        call = Call(len(self.calls) + 1, connection, method, path, head.headers, body.data, whole=body.whole)
        self.calls.append(call)
        await self._notify()
        ending = await self._answer(call, writer)
        if ending is Ending.DOOMED:
            await reader.read(1)
            return Ending.CLOSE
        return ending

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> Ending:
        asked = asked_by(call)
        script = self._scripts.popleft() if self._scripts else faults.script(asked)
        player = Player(asked=asked, call=call, writer=writer, script=script)
        watched = writer.transport.get_protocol()
        assert isinstance(watched, Watched)
        playing = asyncio.create_task(player.play())
        leaving = asyncio.create_task(watched.left.wait())
        try:
            await asyncio.wait({playing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending = await self._end(call, playing, watched)
            leaving.cancel()
        return ending

    async def _end(self, call: Call, playing: asyncio.Task[Ending], watched: "Watched") -> Ending:
        playing.cancel()
        try:
            ending = await playing
        except (asyncio.CancelledError, ConnectionError):
            ending = Ending.CLOSE
            call.closed_at = watched.left_at
        call.ended_at = time.monotonic()
        if self._on_ended:
            self._on_ended(call)
        await self._notify()
        return ending

    async def _reset_early(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Ending:
        if "/reset-at-half" in head.start:
            await reader.read(int(head.header("content-length") or 2) // 2)
        await reset(writer)
        return Ending.CLOSE

    async def _tell(self, path: str, writer: asyncio.StreamWriter) -> Ending:
        after = int(parse_qs(urlsplit(path).query).get("after", ["0"])[0])
        stories = [call.story() for call in self.calls[after:]]
        told = json.dumps({"calls": stories, "open_connections": self.open_connections - 1}).encode()
        framing = (("Content-Type", "application/json"), ("Content-Length", str(len(told))))
        writer.write(head_bytes(200, framing) + told)
        await writer.drain()
        return Ending.KEEP

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Watched(asyncio.StreamReaderProtocol):
    """A stream protocol that notes the instant its peer leaves, be it by FIN or by RST."""

    def __init__(self, accepted: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]) -> None:
        super().__init__(asyncio.StreamReader(limit=HEAD_LIMIT), accepted)
        self.left = asyncio.Event()
        self.left_at: float | None = None

    def eof_received(self) -> bool | None:
        self._leave()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        self.left_at = self.left_at or time.monotonic()
        self.left.set()


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaosprov", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_forever(parser.parse_args().port))


async def _serve_forever(port: int) -> None:
    async with Chaosprov(port=port, on_ended=lambda call: print(json.dumps(call.line()), flush=True)) as provider:
        print(json.dumps({"base_url": provider.base_url, "port": provider.port}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
