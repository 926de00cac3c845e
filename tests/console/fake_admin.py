"""An admin API with made-up figures, as docs/observability.md has it, that serves the real console."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from gateway.core.secret import Secret
from gateway.ingress.admin.console import console_routes
from gateway.ingress.admin.server import PREFIX, doorkeeper
from tests.console import traffic
from tests.console.fake_cache import FakeCache
from tests.console.fake_certificates import FakeCertificates
from tests.console.fake_templates import FakeTemplates
from tests.console.traffic import HOSTILE, LONG

KEY = "sk-llmgw-admin-for-the-console-tests"
_RANGE = ("since", "until", "before", "limit")


@dataclass(eq=False)
class Tail:
    """Somebody who follows the calls. Setting `over` ends the stream."""

    query: dict[str, str]
    response: web.StreamResponse
    over: asyncio.Event = field(default_factory=asyncio.Event)


class FakeAdmin:
    """`asked` has every path and query that was asked for; `tailed` and `left` say that a live tail began and ended."""

    def __init__(self) -> None:
        self.now = time.time()
        self.asked: list[str] = []
        self.tails: list[Tail] = []
        self.cache = FakeCache(self.now)
        self.certificates = FakeCertificates(self.now)
        self.templates = FakeTemplates(self.now)
        self.tailed, self.left = asyncio.Event(), asyncio.Event()

    def application(self) -> web.Application:
        application = web.Application(middlewares=[_refusing, self._noting, doorkeeper(Secret(KEY))])
        application.add_routes(console_routes())
        for path, serve in {
            "policies": self._policies,
            "calls": self._calls,
            "calls:tail": self._tail,
            "calls/{id}": self._call,
            "stats": self._stats,
            "errors": self._errors,
            "deployments": self._deployments,
            "budgets": self._budgets,
            "telemetry": self._telemetry,
        }.items():
            application.router.add_get(PREFIX + path, serve)
        application.add_routes(self.cache.routes())
        application.add_routes(self.certificates.routes())
        application.add_routes(self.templates.routes())
        return application

    async def say(self, record: traffic.Call) -> None:
        await self.send(b"event: call\ndata: " + orjson.dumps(record) + b"\n\n")

    async def send(self, event: bytes) -> None:
        async with asyncio.timeout(10):
            await self.tailed.wait()
        for tail in self.tails:
            await tail.response.write(event)

    @web.middleware
    async def _noting(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        response: web.StreamResponse = await handler(request)
        return response

    async def _policies(self, request: web.Request) -> web.Response:
        return _json(
            {"version": "f0bc64e737a3", "loaded_at": self.now, "notes": [], "last_error": None, "instances": {}}
        )

    async def _calls(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        limit, first = int(query.get("limit", 50)), int(query.get("before", 0))
        filters = {name: value for name, value in query.items() if name not in _RANGE}
        found: list[traffic.Call] = []
        number = first = int(filters["trace_id"], 16) - 1 if "trace_id" in filters else first
        since, until = float(query.get("since", 0)), float(query.get("until", self.now + 1))
        for number, record in traffic.between(self.now, since, until, first=first):
            if traffic.fits(record, filters):
                if len(found) == limit:
                    return _json({"calls": found, "before": number})
                found.append(record)
            if "trace_id" in filters:
                break
        return _json({"calls": found, "before": None})

    async def _call(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        with suppress(ValueError):
            number = int(name.removeprefix("req_"), 16)
            if name.startswith("req_") and number < traffic.CALLS:
                return _json(traffic.told(traffic.call(number, self.now)))
        return web.json_response(
            {"error": {"message": "there is no record of such a call", "code": "not_found"}}, status=404
        )

    async def _tail(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": hello\n\n")
        tail = Tail(dict(request.query), response)
        self.tails.append(tail)
        self.tailed.set()
        try:
            await tail.over.wait()
        finally:
            self.tails.remove(tail)
            self.left.set()
        return response

    async def _stats(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        since, until = float(query.get("since", self.now - 3600)), float(query.get("until", self.now))
        step = int(query.get("step", max(60, round((until - since) / 3600) * 60)))
        names = [name for name in query.get("by", "").split(",") if name]
        groups: dict[tuple[str | None, ...], list[traffic.Call]] = {}
        every = max(1, min(int((until - since) / 6), traffic.CALLS) // 600)
        for _, record in traffic.between(self.now, since, until, every=every):
            for tag in (record["tags"] or [None]) if "tag" in names else [None]:
                group = tuple(tag if name == "tag" else record[name] for name in names)
                groups.setdefault(group, []).append(record)
        rows: list[dict[str, Any]] = [
            {
                "by": dict(zip(names, group, strict=True)),
                "total": _figures(calls, every),
                "points": _points(calls, every, step),
            }
            for group, calls in groups.items()
        ]
        rows.sort(key=lambda row: -row["total"]["cost_nano_usd"])
        return _json({"since": since, "until": until, "step": step, "groups": rows[: int(query.get("limit", 20))]})

    async def _errors(self, request: web.Request) -> web.Response:
        since = float(request.query.get("since", 0))
        rows = []
        for number, (outcome, (status, code)) in enumerate(traffic.OUTCOMES.items()):
            if status >= 400:
                rows.append(
                    {
                        "error_code": code,
                        "provider": "openai" if outcome == "upstream_error" else None,
                        "outcome": outcome,
                        "count": 1000 // (number + 1),
                        "first_at": since,
                        "last_at": self.now,
                        "sample_id": "req_" + f"{4:017x}",
                        "message": f"It failed: {HOSTILE} {LONG}",
                    }
                )
        return _json({"errors": rows})

    async def _deployments(self, request: web.Request) -> web.Response:
        rows = []
        for number, name in enumerate([*traffic.DEPLOYMENTS.values(), "azure/gpt-4o"]):
            figures: dict[str, Any] = {
                "attempts": 900 - 80 * number,
                "errors": 3 * number,
                "p50_ms": 410.5,
                "p95_ms": 2100.25,
            }
            figures |= {"error_codes": {"upstream_unavailable": 2 * number, HOSTILE: number} if number else {}}
            figures |= {"other_codes": {"client_disconnected": 700 - 90 * number, HOSTILE: 1}}
            rows.append(
                {
                    "deployment": name,
                    "provider": name.partition("/")[0],
                    "models": [model for model in traffic.MODELS if traffic.DEPLOYMENTS[model] == name],
                    "resting_until": self.now + 20_000 if name.startswith("azure") else None,
                    "reason": f"status 503 {HOSTILE}" if name.startswith("azure") else None,
                    "figures": figures if number != 2 else {**figures, "attempts": 0, "p50_ms": None, "p95_ms": None},
                }
            )
        return _json({"deployments": rows})

    async def _budgets(self, request: web.Request) -> web.Response:
        rows: list[dict[str, Any]] = []
        for number, tenant in enumerate([*traffic.TENANTS, "umbrella"]):
            unit = ("usd", "tokens", "requests")[number % 3]
            limit = 50_000_000_000 // {"usd": 1, "tokens": 1000, "requests": 100_000_000}[unit]
            settled = limit * min(number * 23, 97) // 100
            held = 0 if number == 5 else limit // 60
            rows.append(
                {
                    "account": f"team:{tenant}:{unit}/day|2026-11-24",
                    "level": "team" if "/" in tenant else "org",
                    "subject": tenant,
                    "unit": unit,
                    "models": [],
                    "window": "day" if number % 2 else "24h",
                    "window_id": "2026-11-24",
                    "mode": "soft" if number == 3 else "hard",
                    "limit": None if number == 4 else limit,
                    "settled": settled,
                    "overdraft": 0,
                    "held": held,
                    "escrowed": 0,
                    "left": None if number == 4 else max(0, limit - settled - held),
                    "begins": None,
                    "resets": self.now + 7 * 3600 if number % 2 else None,
                    "rolling_seconds": None if number % 2 else 86_400,
                }
            )
        return _json({"budgets": rows})

    async def _telemetry(self, request: web.Request) -> web.Response:
        return _json({"dropped": [{"signal": "records", "where": "queue", "count": 1234}]})


def _points(calls: Sequence[traffic.Call], every: int, step: int) -> list[dict[str, Any]]:
    slots: dict[float, list[traffic.Call]] = {}
    for record in calls:
        slots.setdefault(record["at"] // step * step, []).append(record)
    return [{"at": at, **_figures(found, every)} for at, found in sorted(slots.items())]


def _figures(calls: Sequence[traffic.Call], every: int) -> dict[str, Any]:
    def total(name: str) -> int:
        return every * sum(record[name] or 0 for record in calls)

    return {
        "calls": every * len(calls),
        "errors": every * sum(record["status"] >= 500 for record in calls),
        "refused": every * sum(record["status"] == 429 for record in calls),
        "cache_hits": every * sum(record["outcome"].startswith("cache") for record in calls),
        "input_tokens": total("input_tokens"),
        "output_tokens": total("output_tokens"),
        "cached_tokens": total("cached_tokens"),
        "cost_nano_usd": total("cost_nano_usd"),
        "saved_nano_usd": total("saved_nano_usd"),
        "p50_ms": _percentile(calls, "duration_ms", 0.5),
        "p95_ms": _percentile(calls, "duration_ms", 0.95),
        "first_byte_p50_ms": _percentile(calls, "first_byte_ms", 0.5),
        "first_byte_p95_ms": _percentile(calls, "first_byte_ms", 0.95),
        "tokens_per_second": 104.5 if calls else None,
    }


def _percentile(calls: Sequence[traffic.Call], name: str, share: float) -> float | None:
    known = sorted(record[name] for record in calls if record[name] is not None)
    return known[int(share * (len(known) - 1))] if known else None


@web.middleware
async def _refusing(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except Exception as error:
        if not hasattr(error, "code"):
            raise
        body = {"error": {"message": str(error), "type": "", "param": None, "code": error.code}}
        return web.json_response(body, status=getattr(error, "status", 500))
    return response


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
