"""An answer whose first chunk is in hand: from here on it can only end, or fail."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.arrival import Native
from gateway.core.attempt import Attempt
from gateway.core.errors import Broken, UpstreamError
from gateway.core.said import Said
from gateway.core.usage import Usage
from gateway.upstream.decode import Decoder
from gateway.upstream.dialects.openai import RelayedAnswer, StreamedAnswer, UnfinishedAnswer, WholeAnswer
from gateway.upstream.wire import Exchange

_STREAM = "text/event-stream; charset=utf-8"
_JSON = "application/json"
_STREAMS = (StreamedAnswer, RelayedAnswer)
_LAST_BYTES_SECONDS = 0.25


@dataclass(slots=True)
class Body:
    """The bytes of a response as they come, inflated if need be, with their deadline moved on by `moved`."""

    exchange: Exchange
    decoder: Decoder | None
    limit: int
    received: int = 0

    async def read(self) -> bytes:
        """The next bytes, b"" at the end. Raises UpstreamError."""
        while True:
            data = await self.exchange.read()
            self.received += len(data)
            if self.received > self.limit:
                raise Broken("the provider's answer is too large", code="upstream_too_large")
            if self.decoder is None:
                return data
            if not data:
                self.decoder.end()
                return b""
            if plain := self.decoder.feed(data):
                return plain


class Readable(Protocol):
    """A body, as it came or translated."""

    @property
    def exchange(self) -> Exchange: ...

    async def read(self) -> bytes:
        """The next bytes, b"" at the end. Raises UpstreamError."""
        ...


class Answer:
    """What the provider says. Whoever opened it closes it; `close` stops the provider sooner, and may be called again.

    `usage` is the provider's own count, once it has given one; `produced` is the text generated so far, by choice. `native` is
    what it wrote, for a client that speaks its dialect.
    """

    __slots__ = ("_body", "_codec", "_first", "_until", "attempt", "close", "deployment", "headers", "native")

    def __init__(
        self,
        codec: WholeAnswer | UnfinishedAnswer | StreamedAnswer | RelayedAnswer,
        *,
        first: bytes,
        body: Readable,
        attempt: Attempt,
        headers: Mapping[bytes, bytes],
        until: float,
        close: Callable[[], None],
        native: Native | None = None,
    ) -> None:
        self._codec = codec
        self._first = first
        self._body = body
        self._until = until
        self.close = close
        self.attempt = attempt
        self.deployment = attempt.target
        self.headers = headers
        self.native = native

    @property
    def is_stream(self) -> bool:
        return isinstance(self._codec, _STREAMS)

    @property
    def content_type(self) -> str:
        if isinstance(self._codec, RelayedAnswer):
            return self._codec.content_type
        return _STREAM if self.is_stream else _JSON

    @property
    def usage(self) -> Usage | None:
        return self._codec.usage

    @property
    def usage_sent(self) -> Mapping[str, Any] | None:
        """The provider's count in its own words, where a stream has told it."""
        return self._codec.usage_sent if isinstance(self._codec, _STREAMS) else None

    @property
    def is_complete(self) -> bool:
        return self._codec.is_complete

    @property
    def failure(self) -> BaseException | None:
        """Why it broke off, as far as that is known."""
        return self._codec.failure

    @property
    def said(self) -> Said:
        """What the answer says of itself."""
        return self._codec.said

    def produced(self) -> list[str]:
        return self._codec.produced()

    @property
    def produced_share(self) -> float:
        """The part of what was generated that `produced` has; the rest is known by its length alone."""
        return 1.0 if isinstance(self._codec, _STREAMS) else self._codec.produced_share

    def produced_length(self) -> int:
        """Characters generated so far."""
        return self._codec.produced_length()

    def fresh_text(self) -> str:
        """What a stream has generated since this was last asked."""
        return self._codec.fresh_text() if isinstance(self._codec, _STREAMS) else ""

    def cut(self) -> bytes:
        """Ends a stream before its last fresh text, as one that has reached its length, and gives the events that say so.
        Close it then."""
        return self._codec.cut() if isinstance(self._codec, _STREAMS) else b""

    async def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        """What the client may have, but for the ending. Raises UpstreamError where the answer breaks off.

        `single`: each event by itself, the next one being read only when it is asked for.
        """
        codec = self._codec
        if not isinstance(codec, _STREAMS) and codec.failure is not None:
            raise codec.failure
        if not isinstance(codec, _STREAMS):
            yield self._first
            return
        exchange, now = self._body.exchange, asyncio.get_running_loop().time
        idle, until = self.deployment.provider.deadlines.idle, self._until
        exchange.phase = "between two chunks"
        began, exchange.deadline = now(), math.inf
        if self.native is not None:
            self.native.is_single = single
        yield self._first
        until += now() - began
        exchange.deadline = min(now() + idle, until)
        while not codec.is_done:
            if codec.failure is not None:
                raise codec.failure
            data = await self._body.read()
            if not data:
                break
            for chunk in codec.each(data) if single else (codec.feed(data),):
                if not chunk:
                    continue
                began, due, exchange.deadline = now(), exchange.deadline, math.inf
                yield chunk
                waited = now() - began  # for a client that is slow, which is not the provider's fault
                until += waited
                is_progress = b"data:" in chunk  # comments are none
                exchange.deadline = min(now() + idle, until) if is_progress else due + waited
        rest = codec.end()
        if rest:
            yield rest
        await self._finish()

    async def _finish(self) -> None:
        """Reads what follows the last event, so that the connection can be used again; the answer is complete without."""
        exchange = self._body.exchange
        exchange.deadline = min(exchange.deadline, asyncio.get_running_loop().time() + _LAST_BYTES_SECONDS)
        with suppress(UpstreamError):
            while await self._body.read():
                pass

    def ending(self, cost: int | None, usage: Usage) -> bytes:
        """The last bytes, to be sent after settlement; `cost` in nano-USD, None when it is unknown."""
        codec = self._codec
        return codec.ending(cost, usage) if isinstance(codec, _STREAMS) else b""
