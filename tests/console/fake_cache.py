"""The cache's part of the made-up admin API."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from gateway.ingress.admin.server import PREFIX
from tests.console.fake_meanings import FakeMeanings
from tests.console.traffic import HOSTILE, LONG

ENTRIES = 60
PAGE = 25
MARKS = ("org", "team", "key_id", "model", "route", "template", "tag")


def name(number: int) -> str:
    return f"00000000000000aa:{number:064x}"


class FakeCache:
    """`ordered` has the bodies of the orders to forget; `is_used` False: nothing was ever looked up."""

    def __init__(self, now: float) -> None:
        self._now = now
        self.is_used = True
        self.ordered: list[dict[str, Any]] = []
        self.meanings = FakeMeanings()
        self.entries = [_entry(number, now) for number in range(ENTRIES)]

    def routes(self) -> list[web.RouteDef]:
        return [
            *self.meanings.routes(),
            web.get(PREFIX + "cache", self._summary),
            web.get(PREFIX + "cache/entries", self._page),
            web.get(PREFIX + "cache/entries/{id}", self._one),
            web.post(PREFIX + "cache:purge", self._purge),
        ]

    async def _summary(self, request: web.Request) -> web.Response:
        since = int(float(request.query.get("since", self._now - 3600)))
        until = int(float(request.query.get("until", self._now)))
        step = max(60, (until - since) // 3600 * 60)
        since -= since % step
        times = range(since, until, step) if self.is_used else ()
        total = _figures(len(times) * 30)
        routes = [
            {"route": route, **_figures(len(times) * 10), "points": [{"at": at, **_figures(10)} for at in times]}
            for route in ("chat", HOSTILE, None)
        ]
        size = {"entries": len(self.entries), "bytes": 4096 * len(self.entries), "dropped": 17}
        orders = [
            {"number": 1_790_000_000_002, "org": f"{HOSTILE}{LONG}", "tag": "docs"},
            {"number": 1_790_000_000_001},
        ]
        return _json(
            {
                "size": size if self.is_used else None,
                "orders": orders if self.is_used else None,
                "since": since,
                "until": until,
                "step": step,
                "total": total,
                "routes": routes if self.is_used else [],
                "points": [{"at": at, **_figures(30)} for at in times],
                "is_complete": not self.is_used,
            }
        )

    async def _page(self, request: web.Request) -> web.Response:
        wanted = {mark: request.query[mark] for mark in MARKS if mark in request.query}
        first = int(request.query.get("after", 0))
        found = [each for each in self.entries if self.is_used and _fits(each, wanted)]
        after = str(first + PAGE) if len(found) > first + PAGE else None
        return _json({"entries": found[first : first + PAGE], "after": after})

    async def _one(self, request: web.Request) -> web.Response:
        for each in self.entries:
            if each["name"] == request.match_info["id"]:
                document = orjson.dumps({"choices": [{"message": {"content": f"Because. {HOSTILE} {LONG}"}}]}).decode()
                return _json({**each, "question": f"Why? {HOSTILE}", "document": document})
        body = {"error": {"message": "no such answer is kept", "code": "not_found"}}
        return web.json_response(body, status=404)

    async def _purge(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.ordered.append(body)
        left = [
            each
            for each in self.entries
            if not (body.get("all") or each["id"] == body.get("entry") or _has(each, body))
        ]
        removed = len(self.entries) - len(left)
        self.entries = left
        return _json({"number": 1_790_000_000_002 + len(self.ordered), "removed": removed, "is_removing": removed > 50})


def _has(entry: dict[str, Any], body: dict[str, Any]) -> bool:
    marks = {mark: value for mark, value in body.items() if mark in MARKS}
    return bool(marks) and _fits(entry, marks)


def _fits(entry: dict[str, Any], wanted: dict[str, str]) -> bool:
    return all(value in entry["tags"] if mark == "tag" else entry[mark] == value for mark, value in wanted.items())


def _entry(number: int, now: float) -> dict[str, Any]:
    return {
        "name": name(number),
        "id": f"ce_{number:016x}",
        "operation": "chat",
        "created": now - 60 * number - 5,
        "expires": now + 3600 - 60 * number,
        "org": ("acme", "globex", HOSTILE)[number % 3],
        "team": ("search", None)[number % 2],
        "key_id": "key-1",
        "model": ("gpt-4o", LONG)[number % 2],
        "route": ("chat", None)[number % 2],
        "template": None,
        "tags": ["docs", HOSTILE] if number % 3 == 0 else [],
        "bytes": 900 + 137 * number,
        "cost_nano_usd": 1_250_000 * number,
        "took_ms": 812.5,
        "is_semantic": False,
    }


def _figures(calls: int) -> dict[str, Any]:
    return {
        "calls": calls,
        "hits": {"exact": calls // 3, "semantic": calls // 10, "joined": 0, "replay": calls // 30},
        "misses": {"new": calls // 5, "purged": calls // 30} if calls else {},
        "bypasses": {"no_rule": calls // 10, HOSTILE: 1} if calls else {},
        "saved_nano_usd": 2_000_000 * calls,
        "saved_ms": 350.0 * calls,
    }


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
