"""HTTP/1.1 requests read from bytes as they come, without I/O; strict about framing.

The parser is httptools (llhttp in its strict mode); `refusals` has what llhttp lets pass and a gateway must not.
"""

from __future__ import annotations

from collections.abc import Callable

import httptools

from gateway.core.errors import GatewayError, InvalidRequest
from gateway.ingress import refusals
from gateway.ingress.request import Limits, Request

_SINGLE = frozenset(
    {b"host", b"authorization", b"x-api-key", b"content-type", b"content-encoding", b"idempotency-key", b"expect"}
)
_UPGRADE_ONLY = frozenset({b"upgrade", b"connection", b"http2-settings", b"expect"})
# Framing that carries nothing (chunk sizes and extensions) may cost this much more than the body it carries.
_FRAMING_SLACK = 64 * 1024
_FRAMING_PER_BYTE = 8
_EARLY = 64 * 1024


class RequestReader:
    """Feed it bytes; `arrived` is called with each request that is complete, `expects` when one waits for leave to send its body.

    `request` is the one being read; `since` is when it, or the silence before it, began, by `time`. `is_begun`: some of it is
    there; `is_headed`: its headers are. `is_switching`: the last request asked to become a WebSocket, and `rest` has what came
    after it.
    """

    def __init__(
        self,
        limits: Limits,
        time: Callable[[], float],
        *,
        arrived: Callable[[Request], None],
        expects: Callable[[], None],
        sockets: frozenset[bytes] = frozenset(),
    ) -> None:
        """`sockets` are the paths where a GET may ask to become a WebSocket; elsewhere it is read as if it had not asked."""
        self._limits = limits
        self._time = time
        self._arrived = arrived
        self._expects = expects
        self._sockets = sockets
        self._parser = httptools.HttpRequestParser(self)
        self._body: bytes | bytearray = b""
        self._body_size = 0
        self._fed = 0
        self._lines = 0
        self._head_size = 0
        self.request = Request()
        self.since = time()
        self.is_begun = False
        self.is_headed = False
        self.is_switching = False
        self.rest = b""

    def feed(self, data: bytes) -> None:
        """Raises InvalidRequest for what is no request, or too large a one: nothing may be fed after that."""
        while data and not self.is_switching:
            data = self._feed(data)
        if data:
            self.rest += data
            if len(self.rest) > _EARLY:
                raise InvalidRequest("too much was sent before the WebSocket was there", code="bad_http")

    def _feed(self, data: bytes) -> bytes:
        """Parses what has come; gives back what is to be parsed instead, where a request asks to change protocols."""
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            return self._switching(rest) if self._asks_socket() else self._without_upgrade(rest)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, GatewayError) else refusals.bad_http() from None
        except httptools.HttpParserError as error:
            raise refusals.parser_error(error) from None
        self._bound()
        return b""

    def _bound(self) -> None:
        """What has been read and is neither part of a body nor of a request that is complete must stay small."""
        if not self.is_headed and self._fed > self._limits.head:
            raise refusals.head_too_large()
        if self._fed - self._body_size > self._limits.head + _FRAMING_SLACK + _FRAMING_PER_BYTE * self._body_size:
            raise InvalidRequest("the chunked framing is larger than what it carries", code="bad_http")

    def _asks_socket(self) -> bool:
        request = self.request
        is_get = request.method == b"GET" and not request.is_old
        is_websocket = request.headers.get(b"upgrade", b"").lower() == b"websocket"
        return is_get and is_websocket and request.target.partition(b"?")[0] in self._sockets

    def _switching(self, rest: bytes) -> bytes:
        headers = self.request.headers
        if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
            raise InvalidRequest("a request for a WebSocket has no body", code="bad_http")
        self.is_switching = self.request.asks_socket = True
        self.request.keep_alive = False
        self._complete()
        return rest

    def _without_upgrade(self, rest: bytes) -> bytes:
        """A request that asks to change protocols, as if it had not asked; llhttp would leave out its body."""
        request = self.request
        lines = [b"%b %b HTTP/1.1\r\n" % (request.method, request.target)]
        lines += [b"%b: %b\r\n" % item for item in request.headers.items() if item[0] not in _UPGRADE_ONLY]
        if not request.keep_alive:
            lines.append(b"connection: close\r\n")
        self._parser = httptools.HttpRequestParser(self)
        self._fed = 0
        return b"".join([*lines, b"\r\n", rest])

    # httptools' side

    def on_message_begin(self) -> None:
        self.request = Request()
        self.is_begun = True
        self.since = self._time()
        self.is_headed = False
        self._lines = self._head_size = 0

    def on_url(self, url: bytes) -> None:
        self.request.target += url
        if len(self.request.target) > self._limits.header_line:
            raise InvalidRequest("the request target is too long", code="target_too_long", status=414)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_headed:
            raise InvalidRequest("trailers are not accepted", code="bad_http")
        headers = self.request.headers
        name = name.lower()
        self._lines += 1
        self._head_size += len(name) + len(value)
        limits = self._limits
        if len(value) > limits.header_line or self._lines > limits.headers or self._head_size > limits.head:
            raise refusals.head_too_large()
        if b"_" in name:
            raise InvalidRequest("header names must not have underscores", code="bad_header")
        if name in headers:
            if name in _SINGLE:
                code = "bad_http" if name == b"host" else "duplicate_header"
                raise InvalidRequest("a header was sent twice that may be sent once", code=code)
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        request, parser = self.request, self._parser
        self.is_headed = True
        request.method = parser.get_method()
        request.keep_alive = parser.should_keep_alive()
        headers = request.headers
        version = parser.get_http_version()
        request.is_old = version == "1.0"
        refusals.check_head(request, version)
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._limits.body:
            raise refusals.body_too_large(self._limits.body)
        expect = headers.get(b"expect")
        if expect is None:
            return
        if expect.lower() != b"100-continue":
            raise InvalidRequest("only 100-continue can be expected", code="expectation_failed", status=417)
        self._expects()

    def on_body(self, body: bytes) -> None:
        if not self._body:
            self._body = body  # most come in one piece
        elif isinstance(self._body, bytearray):
            self._body += body
        else:
            self._body = bytearray(self._body) + body
        self._body_size += len(body)
        if self._body_size > self._limits.body:
            raise refusals.body_too_large(self._limits.body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return
        self.request.body = bytes(self._body)
        self._complete()

    def _complete(self) -> None:
        self._body = b""
        self._body_size = 0
        self._fed = 0
        self.is_headed = self.is_begun = False
        self._arrived(self.request)
