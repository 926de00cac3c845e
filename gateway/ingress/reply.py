"""One HTTP response being written, and the envelope every error is sent in."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import orjson

from gateway.core.arrival import Audience, Headers, Native
from gateway.core.errors import GatewayError
from gateway.core.peer import Peer

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_KEEP_ALIVE_COMMENT = b": keep-alive\n\n"
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
_QUIET = 15.0
_MESSAGE_LIMIT = 512


class Pipe(Protocol):
    """What a response needs of its connection."""

    lost: bool

    def write(self, data: bytes) -> None: ...

    @property
    def is_paused(self) -> bool: ...

    async def drained(self) -> None: ...

    def switch(self, head: bytes) -> Peer: ...


class Speech(Protocol):
    """An answer in the dialect of a client that does not speak OpenAI's chat. One for each call; without I/O."""

    def begin(self, native: Native | None) -> None:
        """An answer comes. With `native` the provider's own bytes are passed on, and chunks only say when."""
        ...

    def sent(self, chunk: bytes) -> bytes:
        """Of a stream: the events for further chunks in OpenAI's dialect, complete events each time."""
        ...

    def ended(self, last: bytes) -> bytes:
        """Of a stream: the last events; `last` are OpenAI's."""
        ...

    def whole(self, body: bytes) -> bytes:
        """A complete answer, for the chat completion `body`."""
        ...

    def failed(self, error: GatewayError) -> bytes:
        """The body of an error that comes in the place of an answer."""
        ...

    def broken(self, error: GatewayError) -> bytes:
        """The event that ends a stream with an error."""
        ...


class Response:
    """Implements `core.arrival.Reply`. The head goes out with the first bytes; a whole answer goes out at once, at its end."""

    __slots__ = (
        "_answer_headers",
        "_audience",
        "_headers",
        "_held",
        "_is_events",
        "_is_old",
        "_last_sent",
        "_pipe",
        "_speech",
        "_status",
        "_streams",
        "head_only",
        "is_ended",
        "is_started",
        "keep_alive",
    )

    def __init__(self, pipe: Pipe, *, keep_alive: bool, head_only: bool, is_old: bool = False) -> None:
        """`is_old`: for HTTP/1.0, which knows no chunks and no interim responses; its streams end with the connection."""
        self._pipe = pipe
        self._headers: list[str] = []
        self._answer_headers: list[str] = []
        self._held: list[bytes] = []
        self._status = 200
        self._streams = False
        self._is_events = True
        self._last_sent: float | None = None
        self._is_old = is_old
        self._audience: Audience | None = None
        self._speech: Speech | None = None
        self.keep_alive = keep_alive
        self.head_only = head_only
        self.is_started = False
        self.is_ended = False

    def add(self, name: str, value: str) -> None:
        self._headers.append(f"{name}: {value}\r\n")

    def speaks(self, speech: Speech) -> None:
        """Says that the client does not speak OpenAI's dialect."""
        self._speech = speech

    def share(self, audience: Audience | None) -> None:
        self._audience = audience

    def outlives(self, leave: Callable[[], object]) -> bool:
        """The client has left: whether the call goes on for others, until `leave` is called because they have left, too."""
        if self._audience is None or not self._audience.listeners:
            return False
        self._audience.leave = leave
        return True

    def begin(self, content_type: str, *, stream: bool, headers: Headers, native: Native | None = None) -> None:
        if self._speech is not None:
            self._speech.begin(native)
        self._answer_headers = [
            f"content-type: {content_type}\r\n",
            *[f"{name}: {value}\r\n" for name, value in headers],
        ]
        self._streams = stream
        self._is_events = self._speech is not None or content_type.startswith("text/event-stream")
        if stream and self._is_old:
            self.keep_alive = False

    async def send(self, chunk: bytes) -> None:
        if not self._streams:
            self._held.append(chunk)
            return
        if self._speech is not None:
            chunk = self._speech.sent(chunk)
        if not chunk:
            return  # an empty chunk would end the response
        frame = self._frame(chunk)
        if self.is_started:
            self._pipe.write(frame)
        else:
            self.is_started = True
            self._pipe.write(self._stream_head() + frame)
        self._last_sent = None
        if self._pipe.is_paused:
            await self._drained()

    def rehearse(self, last: bytes) -> None:
        """Lets the client's dialect say its last words, so that they are known before they are sent."""
        if self._speech is not None and self._streams:
            self._speech.ended(last)
        elif self._speech is not None:
            self._speech.whole(b"".join([*self._held, last]))

    def end(self, last: bytes = b"", *, headers: Headers = ()) -> None:
        if self._speech is not None and self._streams:
            last = self._speech.ended(last)
        elif self._speech is not None:
            self._held, last = [self._speech.whole(b"".join([*self._held, last]))], b""
        self._end(last, headers=headers)

    def _end(self, last: bytes = b"", *, headers: Headers = ()) -> None:
        if self._streams:
            tail = (self._frame(last) if last else b"") + (b"" if self._is_old else b"0\r\n\r\n")
            if not self.is_started:
                tail = self._stream_head() + tail
        else:
            self._answer_headers += [f"{name}: {value}\r\n" for name, value in headers]
            body = b"".join([*self._held, last])
            length = "" if self._status == 204 else f"content-length: {len(body)}\r\n"
            tail = self._head(length) + (b"" if self.head_only else body)
        self.is_started = self.is_ended = True
        self._pipe.write(tail)

    def whole(self, status: int, body: bytes, *, content_type: str = "application/json") -> None:
        """A complete response of our own."""
        self._status = status
        self._answer_headers = [f"content-type: {content_type}\r\n"]
        self._held.clear()
        self._end(body)

    def switch(self, lines: Headers) -> Peer:
        """Answers that the connection is a WebSocket from now on. Raises Overloaded when the gateway is about to go."""
        self._answer_headers = [f"{name}: {value}\r\n" for name, value in lines]
        head = f"HTTP/1.1 101 Switching Protocols\r\n{''.join([*self._headers, *self._answer_headers])}\r\n"
        peer = self._pipe.switch(head.encode("latin-1", "replace"))
        self.is_started = self.is_ended = True
        self.keep_alive = False
        return peer

    def empty(self, status: int) -> None:
        self._status = status
        self._end()

    def fail(self, error: GatewayError) -> None:
        """Tells the client of an error: as a status while nothing has been sent, as the stream's last event after that."""
        if self.is_ended or self._pipe.lost:
            return
        if self.is_started and not self._is_events:
            return  # there is no room for words in a stream of audio: it ends without its end, and with its connection
        if self.is_started:
            self._end(b"data: " + envelope(error) + b"\n\n" if self._speech is None else self._speech.broken(error))
            return
        self._streams = False
        for name, value in error.headers:
            self.add(name, value)
        if error.should_retry is not None:
            self.add("x-should-retry", "true" if error.should_retry else "false")
        if error.retry_after is not None and error.should_retry is not False:
            self.add("retry-after", str(max(0, math.ceil(error.retry_after))))
        if error.status == 401:
            self.add("www-authenticate", "Bearer")
        self.whole(error.status, envelope(error) if self._speech is None else self._speech.failed(error))

    def probe(self) -> bytes:
        """Bytes that change nothing for a client that is there, and make the socket of one that left answer with a reset."""
        if not self.is_started:
            return b"" if self._is_old else _INTERIM
        is_open = self._streams and self._is_events and not self.is_ended
        return self._frame(_KEEP_ALIVE_COMMENT) if is_open else b""

    def keep_warm(self, now: float) -> None:
        """Sends a comment on a stream that has been silent for 15 s, so that nothing between us and the client cuts it."""
        if not self.is_started or self.is_ended or not self._streams or not self._is_events:
            return
        if self._last_sent is None:
            self._last_sent = now
        elif now - self._last_sent >= _QUIET:
            self._last_sent = now
            self._pipe.write(self._frame(_KEEP_ALIVE_COMMENT))

    async def _drained(self) -> None:
        """Waits for a slow client, unless others listen: the answer's own limit then bounds what waits here."""
        if self._audience is None:
            await self._pipe.drained()
            return
        drained = asyncio.ensure_future(self._pipe.drained())
        joined = asyncio.ensure_future(self._audience.joined.wait())
        try:
            await asyncio.wait([drained, joined], return_when=asyncio.FIRST_COMPLETED)
        finally:
            drained.cancel()
            joined.cancel()

    def _frame(self, data: bytes) -> bytes:
        return data if self._is_old else b"%x\r\n%b\r\n" % (len(data), data)

    def _stream_head(self) -> bytes:
        return self._head("cache-control: no-cache\r\n" + ("" if self._is_old else "transfer-encoding: chunked\r\n"))

    def _head(self, framing: str) -> bytes:
        reason = _REASONS.get(self._status, "")
        connection = "" if self.keep_alive else "connection: close\r\n"
        lines = "".join([*self._headers, *self._answer_headers])
        return f"HTTP/1.1 {self._status} {reason}\r\n{lines}{connection}{framing}\r\n".encode("latin-1", "replace")


def plain(message: str) -> str:
    """An error's message as it may be told: cut, and kept to printable ASCII."""
    message = message[:_MESSAGE_LIMIT]
    if not (message.isascii() and message.isprintable()):
        message = "".join(c if c.isascii() and c.isprintable() else "?" for c in message)
    return message


def envelope(error: GatewayError, *, param: str | None = None) -> bytes:
    """The error as JSON, in the shape OpenAI's clients know. `param` is what the client calls the parameter, if not as we do."""
    name = param or error.param
    fields = {"message": plain(error.message), "type": error.type, "param": name, "code": error.code}
    return orjson.dumps({"error": fields})
