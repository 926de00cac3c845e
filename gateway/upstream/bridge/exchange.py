"""A provider behind the litellm SDK, reached like one behind a connection: OpenAI's dialect goes in and comes out.

So truncation, deadlines, accounting and everything else stay ours. An exchange that is given back is cancelled, and with it the
HTTP request that litellm has under way.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from gateway.core.call import Operation
from gateway.core.deployment import Provider
from gateway.core.errors import Timeout, Unavailable, UpstreamError
from gateway.core.tasks import Tasks
from gateway.upstream.bridge import failure, sdk

DIALECT = "litellm"
_SECOND = 1.0
_PATHS = {b"/chat/completions": Operation.CHAT, b"/embeddings": Operation.EMBEDDINGS}
_PASSED_ON = (b"traceparent", b"tracestate")
_STREAM = {b"content-type": b"text/event-stream"}
_JSON = {b"content-type": b"application/json"}


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    headers: Mapping[bytes, bytes] = field(default_factory=dict)


_Told = _Head | bytes | UpstreamError | None
"""What an exchange brings, in its order; None at its end."""


class Bridge:
    """Implements `upstream.wire.Wire`. litellm is loaded by `run`, or by the first call that needs it."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._loading: asyncio.Task[None] | None = None

    async def run(self, providers: Callable[[], Iterable[Provider]]) -> None:
        """Loads litellm once the gateway serves and the policy has a provider that needs it; cancelled, ends its connections."""
        try:
            while self._loading is None:
                await asyncio.sleep(_SECOND)
                if any(provider.dialect == DIALECT for provider in providers()):
                    await self.prepare()
            await asyncio.get_running_loop().create_future()
        finally:
            if self._loading is not None and self._loading.done():
                await sdk.close()

    async def prepare(self) -> None:
        if self._loading is None:
            self._loading = self._tasks.start(asyncio.to_thread(sdk.load), name="load litellm")
        if not self._loading.done():
            await asyncio.shield(self._loading)

    async def acquire(self, provider: Provider, *, fresh: bool = False) -> BridgeExchange:
        """Raises Unavailable for a provider that the environment would lead elsewhere."""
        if (variable := sdk.leading_variable(provider)) is not None:
            failed = Unavailable("the provider is not set up", retriable=False)
            failed.detail = f"litellm would follow {variable}: write `base_url`, or `environment: true`"
            raise failed
        return BridgeExchange(provider, self._tasks)

    def release(self, provider: Provider, exchange: object) -> None:
        assert isinstance(exchange, BridgeExchange)
        exchange.cancel()


class BridgeExchange:
    """Implements `upstream.wire.Exchange`."""

    def __init__(self, provider: Provider, tasks: Tasks) -> None:
        self.deadline = math.inf
        self.phase = ""
        self.is_whole = False
        self.is_stale = False
        self._provider = provider
        self._tasks = tasks
        self._told: asyncio.Queue[_Told] = asyncio.Queue(maxsize=1)
        self._task: asyncio.Task[None] | None = None
        self._is_begun = self._is_over = False

    def send(self, request: bytes) -> None:
        self._task = self._tasks.start(self._exchange(request), name="litellm")

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def arrived(self) -> bytes:
        return b""

    async def head(self) -> _Head:
        """Raises UpstreamError."""
        head = await self._next()
        assert isinstance(head, _Head)
        return head

    async def read(self) -> bytes:
        """Raises UpstreamError."""
        if self._is_over:
            return b""
        told = await self._next()
        if told is None:
            self._is_over = True
            return b""
        assert isinstance(told, bytes)
        return told

    async def _next(self) -> _Head | bytes | None:
        try:
            async with asyncio.timeout_at(None if math.isinf(self.deadline) else self.deadline):
                told = await self._told.get()
        except TimeoutError:
            self.cancel()
            raise Timeout(f"the provider took too long: {self.phase}", should_retry=True) from None
        if isinstance(told, UpstreamError):
            self._is_over = True
            raise told
        return told

    async def _exchange(self, request: bytes) -> None:
        """litellm may raise anything; its words, which may hold a credential, are never logged."""
        head, _, body = request.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        operation = next(found for path, found in _PATHS.items() if line.split(b" ")[1].endswith(path))
        talk = self._talk(operation, orjson.loads(body), _passed_on(lines))
        (error,) = await asyncio.gather(talk, return_exceptions=True)
        if error is not None:
            await self._fail(error)
        await self._told.put(None)

    async def _talk(self, operation: Operation, fields: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        stream, given = await sdk.answer(self._provider, operation, fields, headers)
        if stream is None:
            await self._begin(_JSON)
            await self._told.put(_whole(given, operation))
            return
        try:
            await self._begin(_STREAM)
            await self._stream(given)
        finally:
            with suppress(asyncio.CancelledError):
                await given.aclose()

    async def _begin(self, headers: Mapping[bytes, bytes]) -> None:
        self._is_begun = True
        await self._told.put(_Head(200, headers))

    async def _stream(self, stream: Any) -> None:
        """Ends without `[DONE]`, and so incomplete, where only litellm says that the answer has ended."""
        async for chunk in stream:
            event = chunk.model_dump(exclude_none=True)
            choices = event.get("choices") or []
            if any(choice.get("finish_reason") for choice in choices) and not sdk.has_ended(stream):
                return
            if "usage" in event and not sdk.has_counted(stream):
                if any(choice.get("delta") for choice in choices):
                    del event["usage"]
                else:
                    continue
            elif "usage" in event and not any(choice.get("delta") for choice in choices):
                event["choices"] = [each for each in choices if each.get("finish_reason")]
            await self._told.put(b"data: %b\n\n" % msgspec.json.encode(event))
        if sdk.has_ended(stream):
            await self._told.put(b"data: [DONE]\n\n")

    async def _fail(self, error: BaseException) -> None:
        """Before the head: the provider's status, or why there is none. After it: the stream breaks, or tells of an error."""
        if self._is_begun:
            broken = failure.cut(error)
            await self._told.put(b'data: {"error": {"message": "error"}}\n\n' if broken is None else broken)
        elif (status := failure.status_of(error)) is None:
            await self._told.put(failure.failure_of(error))
        else:
            await self._told.put(_Head(status, failure.headers_of(error)))
            await self._told.put(failure.body_of(error))


def _passed_on(lines: Iterable[bytes]) -> dict[str, str]:
    """The headers that tell the provider of the trace."""
    pairs = (line.partition(b": ") for line in lines)
    return {name.decode(): value.decode("latin-1") for name, _, value in pairs if name in _PASSED_ON}


def _whole(given: Any, operation: Operation) -> bytes:
    fields: dict[str, Any] = given.model_dump(exclude_none=True)
    usage = fields.get("usage") or {}
    if operation is Operation.CHAT and not usage.get("total_tokens"):
        fields.pop("usage", None)  # litellm writes noughts where the provider has told nothing
    return msgspec.json.encode(fields)
