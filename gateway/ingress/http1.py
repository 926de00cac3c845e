"""HTTP/1.1 as a server: one protocol object for each connection, with a deadline for each phase."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

from gateway.core.errors import SHUTTING_DOWN, GatewayError, InvalidRequest, Overloaded
from gateway.core.peer import Peer
from gateway.ingress import refusals
from gateway.ingress.reply import Response
from gateway.ingress.request import Limits, Request
from gateway.ingress.request_reader import RequestReader
from gateway.websocket.framing import Framing, server
from gateway.websocket.socket import Socket

Handler = Callable[[Request, Response], Awaitable[None]]
Refuse = Callable[[GatewayError, Request, Response], None]

_PROBE_AGAIN = 0.05
_LINGER = 1.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """Reads requests, runs one handler at a time, and cancels it when the client leaves."""

    def __init__(
        self,
        *,
        handler: Handler,
        refuse: Refuse,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        joined: Callable[[Connection], None],
        left: Callable[[Connection], None],
        retiring: Callable[[], bool],
        sockets: frozenset[bytes] = frozenset(),
    ) -> None:
        """`sockets` are the paths where a request may become a WebSocket."""
        self._handler = handler
        self._refuse = refuse
        self._limits = limits
        self._loop = loop
        self._joined = joined
        self._left = left
        self._retiring = retiring
        self._reader = RequestReader(
            limits, loop.time, arrived=self._arrived, expects=self._answer_expectation, sockets=sockets
        )
        self._socket: Socket | None = None
        self._waiting_size = 0
        self._owes_continue = False
        self._failed = False
        self._draining = False
        self._half_closed = False
        self._is_reading_paused = False
        self._has_begun = False
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._response: Response | None = None
        self._drained: asyncio.Future[None] | None = None
        self._stalled_since: float | None = None
        self._peer = ""
        self.transport: asyncio.Transport | None = None
        self.lost = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]  # uvloop's class does not derive from asyncio's
        self._peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.transport = None
        self._waiting.clear()
        self.resume_writing()
        if self._task is None:
            self._left(self)
        elif self._socket is not None:
            self._socket.lost()
        elif self._has_begun and not (self._response is not None and self._response.outlives(self._leave)):
            self._leave()

    def eof_received(self) -> bool:
        """A client may close its sending side and still wait for the answer.

        To tell it from one that left, an interim response is written: a socket that is gone answers it with a reset.
        """
        if self._reader.is_switching or (self._failed and self._task is None):
            return False
        if self._task is None and not self._waiting:
            if self._reader.is_begun:
                self._fail(InvalidRequest("the connection ended within the request", code="incomplete_body"))
            return False
        self._half_closed = True
        self._probe()
        self._loop.call_later(_PROBE_AGAIN, self._probe)
        return True

    def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel("client closed")

    def _probe(self) -> None:
        """The first probe makes a socket that is gone send a reset; the next write then finds out."""
        if self._response is not None:
            self.write(self._response.probe())

    def pause_writing(self) -> None:
        """The client reads more slowly than we write: nothing more is read from it, and no further request begun."""
        self._drained = self._loop.create_future()
        self._stalled_since = self._loop.time()
        self._pace_reading()

    def resume_writing(self) -> None:
        self._stalled_since = None
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None
        if self._task is None and self._waiting:
            self._start_next()
        self._pace_reading()

    def data_received(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.fed(data)
            return
        if self._failed:
            return  # what follows a refusal is taken and thrown away
        try:
            self._reader.feed(data)
        except GatewayError as error:
            self._fail(error)

    def _arrived(self, request: Request) -> None:
        if self._task is None and not self._waiting and self._drained is None:
            self._start(request)
            return
        self._waiting.append(request)
        self._waiting_size += len(request.body)
        self._pace_reading()

    # The handler's side

    async def drained(self) -> None:
        """Waits while the client is slower than we are."""
        if self._drained is not None:
            await self._drained

    def switch(self, head: bytes) -> Peer:
        """Sends the last HTTP there is on this connection: from now on it is a WebSocket. Raises Overloaded while draining."""
        if self._failed:
            raise refusals.bad_http()
        if self._draining or self.lost:
            raise Overloaded("the gateway is shutting down", code="shutting_down")
        self.write(head)
        self._socket = Socket(Framing(server()), self)
        if self._reader.rest:
            self._socket.fed(self._reader.rest)
        return self._socket

    def read_on(self, on: bool, /) -> None:
        if self.transport is not None and not self.transport.is_closing():
            (self.transport.resume_reading if on else self.transport.pause_reading)()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    @property
    def is_paused(self) -> bool:
        return self._drained is not None

    def drain(self) -> None:
        """Ends the connection as soon as what is under way on it has been answered."""
        self._draining = True
        if self._socket is not None:
            self.stop()
        elif self._task is None and self.transport is not None:
            self.transport.close()
        elif self._response is not None:
            self._response.keep_alive = False

    def stop(self) -> None:
        """Cancels what is under way; its handler tells the client. A call whose client has left is ending already."""
        if self._task is not None and not self.lost:
            self._task.cancel(SHUTTING_DOWN)

    def turn_away(self) -> None:
        """Answers that there is no room, before anything is read."""
        error = Overloaded("the gateway has as many connections as it can serve")
        self._fail(error)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def check(self, now: float) -> None:
        """Enforces the deadlines of reading and writing; called about once a second."""
        if self._stalled_since is not None and now - self._stalled_since > self._limits.write_stall:
            self.abort()
            return
        if self._task is not None:
            self._look_after(now)
            return
        waited = now - self._reader.since
        if self._reader.is_headed:
            if waited > self._limits.body_time:
                self._fail(refusals.request_timeout())
        elif self._reader.is_begun:
            if waited > self._limits.head_time:
                self._fail(refusals.request_timeout())
        elif waited > self._limits.idle_time and self.transport is not None:
            self.transport.close()

    def _look_after(self, now: float) -> None:
        """Finds out whether a silent client is still there, and keeps a silent answer from being cut; a WebSocket does both."""
        if self._socket is not None:
            return
        if self._half_closed or (self._is_reading_paused and self._drained is None):
            self._probe()
        elif self._response is not None:
            self._response.keep_warm(now)

    def _start(self, request: Request) -> None:
        request.received = monotonic()  # the loop's own clock counts whole milliseconds
        request.peer = self._peer
        keep_alive = request.keep_alive and not self._draining and not self._retiring()
        response = Response(self, keep_alive=keep_alive, head_only=request.method == b"HEAD", is_old=request.is_old)
        self._response = response
        self._has_begun = False
        self._task = self._loop.create_task(self._handle(request, response))

    async def _handle(self, request: Request, response: Response) -> None:
        """A task that is cancelled before its first step never runs at all: who left that early is told apart here."""
        self._has_begun = True
        if self.lost and self._task is not None:
            self._task.cancel("client closed")
        try:
            await self._handler(request, response)
        finally:
            self._task = None
            self._response = None
            self._after(response)

    def _after(self, response: Response) -> None:
        transport = self.transport
        if transport is None:
            self._left(self)
        elif not response.is_ended:
            transport.abort()
        elif not response.keep_alive or self._draining or transport.is_closing():
            transport.close()
        elif self._waiting:
            if self._drained is None:
                self._start_next()
        elif self._half_closed:
            transport.close()
        else:
            self._reader.since = self._loop.time()
            if self._owes_continue:
                self._owes_continue = False
                transport.write(_CONTINUE)

    def _start_next(self) -> None:
        request = self._waiting.popleft()
        self._waiting_size -= len(request.body)
        self._start(request)
        self._pace_reading()

    def _pace_reading(self) -> None:
        """Reads on only while the client takes its answers, and what waits for its turn is little."""
        if self._reader.is_switching:
            return
        limits = self._limits
        must_pause = (
            self._drained is not None or len(self._waiting) >= limits.pipelined or self._waiting_size > limits.body
        )
        if must_pause == self._is_reading_paused or self.transport is None:
            return
        self._is_reading_paused = must_pause
        if must_pause:
            self.transport.pause_reading()
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _fail(self, error: GatewayError) -> None:
        """Answers a request that cannot be trusted to end where it seems to end, and closes."""
        self._failed = True
        if self.transport is None:
            return
        if self._task is None:
            self._refuse(error, self._reader.request, Response(self, keep_alive=False, head_only=False))
            self._linger(self.transport)
        else:
            self._draining = True  # the call under way is answered; what follows it is not trusted

    def _linger(self, transport: asyncio.Transport) -> None:
        """Says that nothing more comes, and takes what the client still sends: closing at once would reset the answer away."""
        if transport.can_write_eof():
            transport.write_eof()
            self._loop.call_later(_LINGER, transport.close)
        else:
            transport.close()

    def _answer_expectation(self) -> None:
        if self._task is None and not self._waiting:
            self.write(_CONTINUE)
        else:
            self._owes_continue = True
