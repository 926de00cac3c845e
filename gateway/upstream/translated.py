"""The body of a provider that speaks another dialect than ours, read in our terms; and as it came, for clients who speak its."""

from __future__ import annotations

from collections import deque

from gateway.core.errors import UpstreamError
from gateway.upstream.answer import Body
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.chunks import DONE
from gateway.upstream.dialects.dialect import Translation
from gateway.upstream.wire import Exchange

_ERROR = b'data: {"error"'
"""How chat tells that the provider has reported an error."""


class Native:
    """Implements `core.arrival.Native`."""

    __slots__ = ("_taken", "_translation", "is_single")

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._taken: list[bytes] = []
        self.is_single = True

    def add(self, data: bytes) -> None:
        self._taken.append(data)

    def take(self) -> bytes:
        data = b"".join(self._taken)
        self._taken.clear()
        return data

    def closing(self) -> bytes:
        return self._translation.closing()


class Translated:
    """Reads like `answer.Body`. With `native`, by whole events, so that both sides tell the same."""

    __slots__ = (
        "_body",
        "_events",
        "_failure",
        "_has_ended",
        "_held",
        "_is_over",
        "_splitter",
        "_translation",
        "native",
    )

    def __init__(self, body: Body, translation: Translation, *, native: Native | None) -> None:
        self._body = body
        self._translation = translation
        self._splitter = sse.Splitter(limit=sse.MAX_DOCUMENT)
        self._events: deque[bytes] = deque()
        self._failure: UpstreamError | None = None
        self._held: tuple[bytes, bytes] | None = None
        self._is_over = self._has_ended = False
        self.native = native

    @property
    def exchange(self) -> Exchange:
        return self._body.exchange

    async def read(self) -> bytes:
        """The next events in chat's terms, b"" at the end. Raises UpstreamError."""
        while not self._is_over:
            if self.native is not None and self._held is not None:
                event, chunks = self._held
                self._held = None
                self.native.add(event)
                return chunks
            if self._failure is not None:
                raise self._failure
            if self.native is not None and self._events:
                chunks = self._next(self.native)
            elif data := await self._body.read():
                if self.native is not None:
                    self._events.extend(sse.events(self._splitter.feed(data)))
                    continue
                chunks = self._translation.feed(data)
            else:
                self._is_over = True
                return self._last()
            if chunks:
                return chunks
        return b""

    def _next(self, native: Native) -> bytes:
        """Of the events that are here; what breaks the answer off comes by itself, so that nobody is told it as a part of it."""
        chunks: list[bytes] = []
        while self._events and not (chunks and native.is_single):
            event = self._events.popleft()
            try:
                told = self._translation.feed(event)
            except UpstreamError as error:
                self._failure = error
                break
            if chunks and told.startswith(_ERROR):
                self._held = event, told
                break
            if not self._has_ended:  # what follows an answer is none of it
                native.add(event)
            if told:
                chunks.append(told)
                self._has_ended = self._has_ended or told.endswith(DONE)
        return b"".join(chunks)

    def _last(self) -> bytes:
        if self.native is None:
            return self._translation.end()
        rest = self._splitter.end()
        if rest and not self._has_ended:
            self.native.add(rest)
        return self._translation.feed(rest) + self._translation.end()
