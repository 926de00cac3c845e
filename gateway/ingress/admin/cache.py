"""What the cache holds and did, and orders to forget."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from gateway.cache.kept import Found, Kept
from gateway.core.clock import Clock
from gateway.core.errors import InvalidRequest, NotFound, Overloaded
from gateway.core.purge import Purge
from gateway.core.tasks import Tasks
from gateway.ingress.admin import fields
from gateway.ingress.admin.server import PREFIX
from gateway.store.contract import CacheStore
from gateway.trace.reading.calls import Calls
from gateway.trace.reading.statistics import question_of

MARKS = ("org", "team", "key_id", "model", "route", "template", "tag")
"""What answers can be found and forgotten by."""
TIMES = ("since", "until", "step")
MOST = 200
"""Answers on one page."""
ORDERS = 50
"""Orders that are shown, the last ones."""
ADMIN_WAITS = 1.0
"""Seconds in which removed answers are counted for who has ordered to forget them; the rest goes on behind."""


@dataclass(slots=True)
class _Removal:
    removed: int = 0


class CacheRoutes:
    def __init__(self, store: CacheStore, kept: Kept, calls: Calls, clock: Clock) -> None:
        self._store = store
        self._kept = kept
        self._calls = calls
        self._clock = clock
        self._tasks = Tasks()
        self._turn = asyncio.Lock()

    def routes(self, application: web.Application) -> Sequence[web.RouteDef]:
        """The application's; removals end with it."""
        application.on_cleanup.append(self._end)
        return (
            web.get(PREFIX + "cache", self._summary),
            web.get(PREFIX + "cache/entries", self._entries),
            web.get(PREFIX + "cache/entries/{id}", self._entry),
            web.post(PREFIX + "cache:purge", self._purge),
        )

    async def _summary(self, request: web.Request) -> web.Response:
        query = _known(fields.single(request.query), TIMES)
        question = question_of(query, now=self._clock.now())
        figures = await self._calls.cache(since=question.since, until=question.until, step=question.step)
        times = {"since": question.since, "until": question.until, "step": question.step}
        return fields.json({**await self._holds(), **times, **figures})

    async def _holds(self) -> Mapping[str, object]:
        """None while the store is away: what was done can be told all the same."""
        try:
            size, orders = await asyncio.gather(self._store.size(), self._store.orders())
        except Overloaded:
            return {"size": None, "orders": None}
        return {"size": asdict(size), "orders": [_order(each) for each in reversed(orders[-ORDERS:])]}

    async def _entries(self, request: web.Request) -> web.Response:
        query = _known(fields.single(request.query), (*MARKS, "limit", "after"))
        limit = max(1, min(fields.integer(query.get("limit", "50"), "limit"), MOST))
        found, after = await self._kept.search(_purge(query), after=query.get("after", ""), limit=limit)
        return fields.json({"entries": [_entry(each) for each in found], "after": after or None})

    async def _entry(self, request: web.Request) -> web.Response:
        found = await self._kept.find(request.match_info["id"])
        if found is None:
            raise NotFound("no such answer is kept, or it may not be given any more")
        document = found.entry.document.decode(errors="replace")
        return fields.json({**_entry(found), "question": found.entry.question or None, "document": document})

    async def _purge(self, request: web.Request) -> web.Response:
        marks = _marks(await fields.read_fields(request, {*MARKS, "entry", "all"}))
        number = await self._kept.order(marks)
        removal = _Removal()
        task = self._tasks.start(self._remove(marks, removal), name="removal of kept answers")
        await asyncio.wait({task}, timeout=ADMIN_WAITS)
        return fields.json({"number": number, "removed": removal.removed, "is_removing": not task.done()})

    async def _remove(self, marks: Purge, removal: _Removal) -> None:
        """One after the other, so that however many are ordered take no more of the store than one."""
        async with self._turn:
            async for removed in self._kept.remove(marks):
                removal.removed += removed

    async def _end(self, application: web.Application) -> None:
        await self._tasks.close()


def _known(query: Mapping[str, str], names: Sequence[str]) -> Mapping[str, str]:
    for name in query:
        if name not in names:
            message = f"the cache cannot be asked for by {name[:64]!r}"
            raise InvalidRequest(message, code="unknown_parameter", param=name[:64])
    return query


def _marks(asked: Mapping[str, Any]) -> Purge:
    """Raises InvalidRequest; an order without marks has to say that it means everything."""
    everything = asked.get("all", False)
    if not isinstance(everything, bool):
        raise InvalidRequest("all must be true or false", code="invalid_type", param="all")
    marks = {name: fields.text(asked, name) for name in (*MARKS, "entry") if asked.get(name) is not None}
    if everything and marks:
        raise InvalidRequest("say either all or what is to be forgotten", code="invalid_value", param="all")
    if not everything and not marks:
        message = f"say what is to be forgotten by {', '.join(MARKS)} or entry; everything is all: true"
        raise InvalidRequest(message, code="missing_parameter", param="all")
    return _purge(marks)


def _purge(marks: Mapping[str, str]) -> Purge:
    return Purge(
        org=marks.get("org"),
        team=marks.get("team"),
        key_id=marks.get("key_id"),
        model=marks.get("model"),
        route=marks.get("route"),
        template=marks.get("template"),
        tag=marks.get("tag"),
        entry=marks.get("entry"),
    )


def _order(purge: Purge) -> Mapping[str, object]:
    return {name: value for name, value in asdict(purge).items() if value is not None}


def _entry(found: Found) -> Mapping[str, object]:
    entry = found.entry
    return {
        "name": found.name,
        "id": entry.id,
        "operation": entry.operation,
        "created": entry.created,
        "expires": entry.expires,
        "org": entry.org,
        "team": entry.team,
        "key_id": entry.key_id,
        "model": entry.model,
        "route": entry.route or None,
        "template": entry.template or None,
        "tags": list(entry.tags),
        "bytes": found.size,
        "cost_nano_usd": entry.cost,
        "took_ms": round(entry.took * 1000, 3),
        "is_semantic": bool(entry.question),
    }
