"""One pooled HTTP/1.1 connection to a provider: sends a request, hands out the response as it comes."""

from __future__ import annotations

import asyncio

from gateway.core.errors import Broken, Timeout, Unavailable, UpstreamError
from gateway.upstream.response import ResponseReader

_HIGH_WATER = 32 * 1024
_HIGH_WATER_WHOLE = 1024 * 1024
_AT_ONCE = 0.25


class Connection(asyncio.BufferedProtocol):
    """Carries one exchange at a time. `deadline` (the loop's seconds) is enforced by the pool's sweep.

    Of a stream at most 32 KiB and what one read of the socket brings are buffered: past that the provider is not read on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, chunk: memoryview) -> None:
        """`chunk` is what a read of the socket is put into, 32 KiB of it for a stream; all connections of a loop share it."""
        self._loop = loop
        self._chunk = chunk
        self._small = chunk[:_HIGH_WATER]
        self._transport: asyncio.Transport | None = None
        self._reader = ResponseReader()
        self._waiter: asyncio.Future[None] | None = None
        self._error: UpstreamError | None = None
        self._paused = False
        self._buffered = 0
        self._has_heard = False
        self._has_told = False
        self._sent_at = 0.0
        self._lost_at = 0.0
        self.deadline = float("inf")
        self.phase = "headers"
        self.is_whole = False
        self.used = 0
        self.idle_since = 0.0

    # The caller's side

    def send(self, request: bytes) -> None:
        self._reader.expect_next()
        self._error = None
        self._buffered = 0
        self._has_heard = self._has_told = False
        self._sent_at = self._loop.time()
        self.used += 1
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        if self._transport is None:
            self._error = _reset()
        else:
            self._transport.write(request)

    async def head(self) -> ResponseReader:
        """Waits for the status and headers. Raises UpstreamError."""
        reader = self._reader
        while not reader.is_headed:
            if self._error is not None:
                raise self._error
            await self._wait()
        return reader

    async def read(self) -> bytes:
        """The next piece of the body, and b"" at its end. Raises UpstreamError when the answer is cut or late."""
        reader = self._reader
        while not reader.has_body:
            if reader.is_complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        self._buffered = 0
        return reader.take()

    def arrived(self) -> bytes:
        """What has come of the body and has not been read."""
        return self._reader.take()

    @property
    def is_reusable(self) -> bool:
        transport = self._transport
        return (
            self._reader.is_complete
            and self._reader.is_reusable
            and transport is not None
            and not transport.is_closing()
        )

    @property
    def is_stale(self) -> bool:
        """Whether a connection that has served before was lost as soon as it was used again, without one byte of an answer.

        Then it had been closed meanwhile. One that is lost later may have carried the request to a provider that worked on it.
        """
        lost_at_once = self._lost_at - self._sent_at < _AT_ONCE
        return (
            self.used > 1
            and self._transport is None
            and lost_at_once
            and not self._reader.is_headed
            and not self._buffered
        )

    def expire(self) -> None:
        self._fail(Timeout(f"the provider took too long: {self.phase}", should_retry=True))
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's class does not derive from asyncio's

    def get_buffer(self, sizehint: int) -> memoryview:
        """One read of a stream takes 32 KiB at the most: uvloop would take eight times that, for a client that may be slow."""
        return self._chunk if self.is_whole else self._small

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._chunk[:nbytes]))

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        self._has_heard = True
        try:
            reader.feed(data)
        except UpstreamError as error:
            self._fail(error)
            self.close()
            return
        if reader.is_headed:
            self._buffered += len(data)
        if reader.surplus:
            self.close()
        elif self._buffered > (_HIGH_WATER_WHOLE if self.is_whole else _HIGH_WATER):
            self._pause()
        if reader.is_complete or (reader.is_headed and (self._paused or not (self.is_whole and self._has_told))):
            self._has_told = reader.is_headed
            self._wake()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost_at = self._loop.time()
        try:
            if exc is not None and not self._reader.is_complete:
                raise Broken("the connection to the provider was reset") if self._reader.is_headed else _reset()
            self._reader.end()
        except UpstreamError as error:
            self._fail(error)
        else:
            self._wake()

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter


def _reset() -> Unavailable:
    """The request was sent and nothing came back: the provider may have worked on it, so it is not sent again by default."""
    return Unavailable(
        "the connection to the provider was reset", code="upstream_reset", retriable=False, should_retry=False
    )
