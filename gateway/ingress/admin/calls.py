"""The records of calls: found, followed as they come, and taken away whole."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import orjson
from aiohttp import web

from gateway.core.clock import Clock
from gateway.core.errors import GatewayError, InvalidRequest, NotFound
from gateway.ingress.admin import fields
from gateway.ingress.admin.server import PREFIX, finished
from gateway.trace.reading.calls import Calls
from gateway.trace.reading.parquet import parquet
from gateway.trace.reading.search import TIMES, Search, search_of
from gateway.trace.sqlite.reader import Followed

Tell = Callable[[dict[str, Any]], Mapping[str, object]]
"""What can be told of a record besides: its `story` and its `spans`."""
MOST = 1000
"""Records in one answer."""
KEEP_ALIVE = 15.0
"""Seconds without an event after which a comment is sent."""
FORMATS = ("jsonl", "parquet")

log = logging.getLogger("llmgw.admin")


class CallRoutes:
    """`tell` None: a record is told as it is kept."""

    def __init__(self, calls: Calls, clock: Clock, tell: Tell | None) -> None:
        self._calls = calls
        self._now = clock.now
        self._tell = tell
        self._is_ending = False

    def routes(self, application: web.Application) -> Sequence[web.RouteDef]:
        """The application's; who follows calls is let go when it ends."""
        application.on_shutdown.append(self._end)
        return (
            web.get(PREFIX + "calls", self._latest),
            web.get(PREFIX + "calls:tail", self._tail),
            web.get(PREFIX + "calls:export", self._export),
            web.get(PREFIX + "calls/{id}", self._one),
        )

    async def _latest(self, request: web.Request) -> web.Response:
        query = fields.single(request.query)
        search = search_of(query, now=self._now(), also=("limit", "before"))
        limit = fields.integer(query.get("limit", "50"), "limit", least=1, most=MOST)
        before = fields.integer(query["before"], "before") if "before" in query else None
        page = await self._calls.latest(search, limit=limit, before=before)
        return fields.json({"calls": [orjson.Fragment(line) for line in page.lines], "before": page.before})

    async def _one(self, request: web.Request) -> web.Response:
        record = await self._calls.whole(request.match_info["id"])
        if record is None:
            raise NotFound("there is no record of such a call")
        return fields.json(record if self._tell is None else {**record, **self._tell(record)})

    async def _tail(self, request: web.Request) -> web.StreamResponse:
        search = search_of(fields.single(request.query), now=self._now(), without=TIMES)
        async with aclosing(self._calls.tail(search)) as tail:
            await anext(tail)
            return await _streamed(request, "text/event-stream", self._events(tail))

    async def _export(self, request: web.Request) -> web.StreamResponse:
        query = fields.single(request.query)
        search = search_of(query, now=self._now(), also=("format",))
        format = query.get("format", FORMATS[0])
        if format not in FORMATS:
            raise InvalidRequest(f"format must be {' or '.join(FORMATS)}", code="invalid_value", param="format")
        return await _streamed(request, *export(self._calls, search, format=format))

    async def _events(self, tail: AsyncIterator[Followed]) -> AsyncIterator[bytes]:
        yield b": following\n\n"
        said = time.monotonic()
        async for followed in tail:
            if self._is_ending:
                return
            events = [b"event: call\ndata: " + line + b"\n\n" for line in followed.lines]
            if followed.dropped:
                events.insert(0, b'event: dropped\ndata: {"count": %d}\n\n' % followed.dropped)
            if not events and time.monotonic() > said + KEEP_ALIVE:
                events = [b": nothing new\n\n"]
            if events:
                said = time.monotonic()
                yield b"".join(events)

    async def _end(self, application: web.Application) -> None:
        self._is_ending = True


def export(calls: Calls, search: Search, *, format: str) -> tuple[str, AsyncIterator[bytes]]:
    """The content type and the parts of a file of all records, oldest first. Raises InvalidRequest."""
    if format == "parquet":
        return "application/vnd.apache.parquet", parquet(calls.all(search))
    return "application/x-ndjson", _lines(calls.all(search))


async def _lines(parts: AsyncIterator[Sequence[bytes]]) -> AsyncIterator[bytes]:
    async for lines in parts:
        yield b"".join([line + b"\n" for line in lines])


async def _streamed(request: web.Request, content_type: str, parts: AsyncIterator[bytes]) -> web.StreamResponse:
    """An answer that is broken off where its parts fail, so that nobody takes it for whole."""
    response = web.StreamResponse(headers={"content-type": content_type})
    finished(response)
    await response.prepare(request)
    try:
        async for part in parts:
            await response.write(part)
        await response.write_eof()
    except ConnectionError:
        log.debug("a reader of calls has gone")
    except GatewayError as error:
        log.warning("an export of calls was broken off", extra={"reason": error.message})
        if request.transport is not None:
            request.transport.abort()
    return response
