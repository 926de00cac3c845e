"""Sums and percentiles of calls over time, and what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from gateway.core.clock import Clock
from gateway.core.errors import InvalidRequest
from gateway.ingress.admin import fields
from gateway.ingress.admin.server import PREFIX
from gateway.trace.reading.calls import Calls
from gateway.trace.reading.search import LONGEST, TIMES, moment
from gateway.trace.reading.statistics import question_of

_DAY = 86400.0


class StatisticsRoutes:
    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock

    def routes(self) -> Sequence[web.RouteDef]:
        return web.get(PREFIX + "stats", self._statistics), web.get(PREFIX + "errors", self._errors)

    async def _statistics(self, request: web.Request) -> web.Response:
        question = question_of(fields.single(request.query), now=self._clock.now())
        groups = await self._calls.statistics(question)
        times = {"since": question.since, "until": question.until, "step": question.step}
        return fields.json({**times, "groups": groups})

    async def _errors(self, request: web.Request) -> web.Response:
        query, now = fields.single(request.query), self._clock.now()
        for name in query:
            if name not in TIMES:
                message = f"errors cannot be asked for by {name[:64]!r}"
                raise InvalidRequest(message, code="unknown_parameter", param=name[:64])
        until = moment(query["until"][:LONGEST], "until", now=now) if "until" in query else now + 1
        since = moment(query["since"][:LONGEST], "since", now=now) if "since" in query else until - _DAY
        return fields.json({"errors": await self._calls.errors(since=since, until=until)})
