"""An HTTP/1.1 response read from bytes as they come, without I/O."""

from __future__ import annotations

import httptools

from gateway.core.errors import Broken, Unavailable, UpstreamError

_MAX_HEAD = 64 * 1024
_MAX_HEADERS = 256


class ResponseReader:
    """Feed it bytes; take the body's pieces out. It knows when the response is complete, and what must not be trusted.

    After `is_complete`, `is_reusable` says whether the connection may carry another call, and `expect_next` prepares for it.
    """

    __slots__ = (
        "_bounded",
        "_fed",
        "_lines",
        "_parser",
        "_pieces",
        "_unheaded",
        "headers",
        "is_complete",
        "is_headed",
        "is_reusable",
        "status",
        "surplus",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._fed = 0
        self._lines = 0
        self._unheaded = 0
        self._bounded = False
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.is_headed = False
        self.is_complete = False
        self.is_reusable = False
        self.surplus = False

    def expect_next(self) -> None:
        """Prepares for the response to another request on the same connection."""
        self._pieces.clear()
        self._fed = self._lines = self._unheaded = 0
        self.headers = {}
        self.is_headed = self.is_complete = self.is_reusable = False

    def feed(self, data: bytes) -> None:
        """Raises UpstreamError when the bytes are not a response we accept."""
        if self.is_complete:
            self.surplus = True
            self.is_reusable = False
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, UpstreamError) else self._invalid() from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.is_complete:
                raise self._invalid() from None
            self.surplus = True
            self.is_reusable = False
        if not self.is_headed:
            self._unheaded += len(data)
            if self._unheaded > _MAX_HEAD:
                raise Unavailable("the provider's response headers are too large", retriable=False)

    def end(self) -> None:
        """The connection has ended. Raises UpstreamError if the response had not."""
        if self.is_complete:
            return
        if not self.is_headed:
            raise Unavailable(
                "the provider closed the connection without an answer",
                code="upstream_reset",
                retriable=False,
                should_retry=False,
            )
        if self._bounded:
            raise Broken("the provider's answer was cut off")
        self.is_complete = True  # a body without length or chunks ends with its connection

    def take(self) -> bytes:
        """The body that has arrived since the last call; empty if none has."""
        pieces = self._pieces
        if not pieces:
            return b""
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    @property
    def has_body(self) -> bool:
        return bool(self._pieces)

    # httptools' side

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.surplus = True
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_headed:
            return  # trailers say nothing we act on
        self._lines += 1
        self._fed += len(name) + len(value)
        if self._lines > _MAX_HEADERS or self._fed > _MAX_HEAD:
            raise Unavailable("the provider sent too many response headers", retriable=False)
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        parser = self._parser
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers = {}
            return
        self.status = status
        headers = self.headers
        self._bounded = b"content-length" in headers or b"transfer-encoding" in headers
        self.is_headed = True
        self.is_reusable = parser.should_keep_alive() and (self._bounded or status in (204, 304))

    def on_body(self, body: bytes) -> None:
        if not self.is_complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self.is_headed:
            self.is_complete = True

    def _invalid(self) -> UpstreamError:
        if self.is_headed:
            return Broken("the provider's answer is not valid HTTP", code="upstream_truncated")
        return Unavailable("the provider's answer is not valid HTTP", retriable=False, should_retry=False)
