"""The body of a provider that speaks another dialect than ours, read in our terms; and as it came, for clients who speak its."""

from __future__ import annotations

from collections import deque

from gateway.upstream.answer import Body
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.chunks import DONE
from gateway.upstream.dialects.dialect import Translation
from gateway.upstream.wire import Exchange


class Native:
    """Implements `core.arrival.Native`."""

    __slots__ = ("_taken", "_translation")

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._taken: list[bytes] = []

    def add(self, data: bytes) -> None:
        self._taken.append(data)

    def take(self) -> bytes:
        data = b"".join(self._taken)
        self._taken.clear()
        return data

    def closing(self) -> bytes:
        return self._translation.closing()


class Translated:
    """Reads like `answer.Body`. With `native`, event by event, so that both sides tell the same."""

    __slots__ = ("_body", "_events", "_has_ended", "_is_over", "_splitter", "_translation", "native")

    def __init__(self, body: Body, translation: Translation, *, native: Native | None) -> None:
        self._body = body
        self._translation = translation
        self._splitter = sse.Splitter(limit=sse.MAX_DOCUMENT)
        self._events: deque[bytes] = deque()
        self._is_over = self._has_ended = False
        self.native = native

    @property
    def exchange(self) -> Exchange:
        return self._body.exchange

    async def read(self) -> bytes:
        """The next events in chat's terms, b"" at the end. Raises UpstreamError."""
        while not self._is_over:
            if self.native is not None and self._events:
                event = self._events.popleft()
                if not self._has_ended:  # what follows an answer is none of it
                    self.native.add(event)
                chunks = self._translation.feed(event)
                self._has_ended = self._has_ended or chunks.endswith(DONE)
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

    def _last(self) -> bytes:
        if self.native is None:
            return self._translation.end()
        rest = self._splitter.end()
        if rest and not self._has_ended:
            self.native.add(rest)
        return self._translation.feed(rest) + self._translation.end()
