"""A small TCP fault proxy: it stands between two peers and is as good as the toxic of the moment lets it be.

In a test: `async with Toxi(upstream=("127.0.0.1", 6379)) as proxy`, then `proxy.toxic = BlackHole()`. A new toxic
holds from the next bytes on, also for open connections. As a process, `python -m tests.faults.toxi --listen P
--upstream H:P` takes a toxic per line on its standard input, for example `latency 0.2` or `clean`.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.faults.player import reset


@dataclass(frozen=True, slots=True)
class Clean:
    """Passes everything on."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Holds each piece back for this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Slice:
    """Passes on at most this many bytes per write."""

    size: int


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Passes on this many bytes per second in each direction."""

    rate: int


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Accepts, and passes nothing on."""


@dataclass(frozen=True, slots=True)
class ResetAfter:
    """RST to the client once this many bytes have come back from upstream on its connection."""

    count: int


@dataclass(frozen=True, slots=True)
class CloseAfter:
    """FIN to the client once this many bytes have come back from upstream on its connection."""

    count: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Closes the listener, so that a connect is refused, and resets what is open."""


Toxic = Clean | Latency | Slice | Bandwidth | BlackHole | ResetAfter | CloseAfter | Refuse
KINDS: dict[str, Callable[[float], Toxic]] = {
    "clean": lambda _: Clean(),
    "latency": Latency,
    "slice": lambda number: Slice(int(number)),
    "bandwidth": lambda number: Bandwidth(int(number)),
    "black-hole": lambda _: BlackHole(),
    "reset-after": lambda number: ResetAfter(int(number)),
    "close-after": lambda number: CloseAfter(int(number)),
    "refuse": lambda _: Refuse(),
}


class Toxi:
    """The proxy: an async context manager that listens while it is open."""

    def __init__(self, *, upstream: tuple[str, int], listen: int = 0) -> None:
        self.port = listen
        self.connections = 0
        self._upstream = upstream
        self._toxic: Toxic = Clean()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def toxic(self) -> Toxic:
        return self._toxic

    @toxic.setter
    def toxic(self, toxic: Toxic) -> None:
        """Holds at once for the bytes to come; `Refuse`, and its end, need `await settle()` before the next connect."""
        self._toxic = toxic
        self._changed.set()
        self._changed = asyncio.Event()
        if isinstance(toxic, Refuse):
            self._stop_listening()
            for task in self._tasks:
                task.cancel()

    async def settle(self) -> None:
        """Returns once the listener is as the toxic says."""
        if not isinstance(self._toxic, Refuse) and self._server is None:
            await self._listen()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_listening()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _stop_listening(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._relay(reader, writer)
        except asyncio.CancelledError:
            await reset(writer)
            raise
        finally:
            writer.close()
            self.connections -= 1

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            return await reset(writer)
        out = asyncio.create_task(self._pump(reader, far_writer, back=False))
        back = asyncio.create_task(self._pump(far_reader, writer, back=True))
        try:
            await asyncio.wait({out, back}, return_when=asyncio.FIRST_COMPLETED)
            if out.done() and out.exception() is None:
                await asyncio.wait({back})
        finally:
            for task in (out, back):
                task.cancel()
            await asyncio.gather(out, back, return_exceptions=True)
            far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        passed = 0
        while data := await reader.read(1 << 16):
            left = self._left(passed) if back else None
            passed += await self._pass(data[:left], writer)
            if back and await self._ended(passed, writer):
                return
        writer.write_eof()

    def _left(self, passed: int) -> int | None:
        toxic = self._toxic
        return max(0, toxic.count - passed) if isinstance(toxic, ResetAfter | CloseAfter) else None

    async def _ended(self, passed: int, writer: asyncio.StreamWriter) -> bool:
        toxic = self._toxic
        if isinstance(toxic, ResetAfter) and passed >= toxic.count:
            await reset(writer)
            return True
        return isinstance(toxic, CloseAfter) and passed >= toxic.count

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> int:
        for piece in await self._pieces(data):
            writer.write(piece)
            await writer.drain()
            if isinstance(self._toxic, Slice):
                await asyncio.sleep(0)
            if isinstance(self._toxic, Bandwidth):
                await asyncio.sleep(len(piece) / self._toxic.rate)
        return len(data)

    async def _pieces(self, data: bytes) -> list[bytes]:
        while isinstance(self._toxic, BlackHole):
            await self._changed.wait()
        toxic = self._toxic
        if isinstance(toxic, Latency):
            await asyncio.sleep(toxic.seconds)
        size = len(data) or 1
        if isinstance(toxic, Slice):
            size = toxic.size
        elif isinstance(toxic, Bandwidth):
            size = max(1, toxic.rate // 50)
        return [data[start : start + size] for start in range(0, len(data), size)]


def toxic_from(line: str) -> Toxic:
    """Reads `kind [number]`; raises ValueError with the kinds there are."""
    kind, _, number = line.strip().partition(" ")
    if kind not in KINDS:
        raise ValueError(f"no toxic {kind!r}; there are: {', '.join(KINDS)}")
    return KINDS[kind](float(number or 0))


def main() -> None:
    """Serves until its standard input ends or it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.toxi", description=__doc__)
    parser.add_argument("--listen", type=int, default=0, metavar="PORT")
    parser.add_argument("--upstream", required=True, metavar="HOST:PORT")
    options = parser.parse_args()
    host, _, port = options.upstream.rpartition(":")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_forever(options.listen, (host, int(port))))


async def _serve_forever(listen: int, upstream: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    async with Toxi(upstream=upstream, listen=listen) as proxy:
        print(proxy.port, flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            try:
                proxy.toxic = toxic_from(line)
            except ValueError as error:
                print(error, file=sys.stderr, flush=True)
            await proxy.settle()


if __name__ == "__main__":
    main()
