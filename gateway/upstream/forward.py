"""A request that is no call, passed on to a provider of OpenAI's dialect over the same checked connections as calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.core.deployment import Provider
from gateway.core.errors import Broken, UpstreamError
from gateway.upstream.dialects.openai import failure
from gateway.upstream.wire import Exchange, Wire

_ERROR_BODY = 64 * 1024
_STATUSES = (200, 201)


@dataclass(slots=True)
class Forwarded:
    """The body of what the provider answers."""

    media: str
    _exchange: Exchange
    _idle: float

    async def read(self) -> bytes:
        """The next piece, b"" at the end. Raises UpstreamError."""
        self._exchange.deadline = asyncio.get_running_loop().time() + self._idle
        return await self._exchange.read()

    async def whole(self, limit: int) -> bytes:
        """Raises UpstreamError, also for more than `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while data := await self.read():
            pieces.append(data)
            size += len(data)
            if size > limit:
                raise Broken("the provider's answer is too large", code="upstream_too_large")
        return b"".join(pieces)


@asynccontextmanager
async def forward(
    wire: Wire, provider: Provider, method: str, path: str, *, body: bytes = b"", media: str = "", now: float
) -> AsyncIterator[Forwarded]:
    """`path` begins with `/` and stands below the provider's base URL; `now` is UTC seconds. Raises UpstreamError."""
    exchange = await wire.acquire(provider, fresh=True)
    try:
        exchange.phase = "the response headers"
        exchange.deadline = asyncio.get_running_loop().time() + provider.deadlines.whole
        exchange.send(_head(provider, method, path, len(body), media) + body)
        head = await exchange.head()
        exchange.phase = "between two pieces"
        forwarded = Forwarded(
            head.headers.get(b"content-type", b"application/octet-stream").decode("latin-1"),
            exchange,
            provider.deadlines.idle,
        )
        if head.status not in _STATUSES:
            raise failure(head.status, await _error(forwarded), head.headers, secrets=_secrets(provider), now=now)
        yield forwarded
    finally:
        wire.release(provider, exchange)


async def _error(forwarded: Forwarded) -> bytes:
    """An error's body; one that breaks off is no worse than none."""
    try:
        return await forwarded.whole(_ERROR_BODY)
    except UpstreamError:
        return b""


def _secrets(provider: Provider) -> tuple[str, ...]:
    values = [secret.reveal() for _, secret in provider.headers]
    texts = {*values, *(value.partition(" ")[2] for value in values)}
    return tuple(sorted((text for text in texts if len(text) >= 6), key=len, reverse=True))


def _head(provider: Provider, method: str, path: str, length: int, media: str) -> bytes:
    target = f"{provider.path}{path}"
    if provider.query:
        target += ("&" if "?" in path else "?") + provider.query
    name = f"[{provider.host}]" if ":" in provider.host else provider.host
    port = "" if provider.port == (443 if provider.tls else 80) else f":{provider.port}"
    credentials = "".join(f"{name}: {secret.reveal()}\r\n" for name, secret in provider.headers)
    content = f"content-type: {media}\r\n" if media else ""
    return (
        f"{method} {target} HTTP/1.1\r\nhost: {name}{port}\r\n{credentials}{content}accept: */*\r\n"
        f"accept-encoding: identity\r\nuser-agent: llmgw\r\ncontent-length: {length}\r\n\r\n"
    ).encode("latin-1")
