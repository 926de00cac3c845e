"""The templates' part of the made-up admin API."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from gateway.ingress.admin.server import PREFIX
from tests.console.traffic import HOSTILE, LONG

ETAG = "0123456789abcdef"


class FakeTemplates:
    """`are_any` False: the policy has none. `orders` are the paths, If-Match and bodies of those that were given."""

    def __init__(self, now: float) -> None:
        self.are_any = True
        self.orders: list[tuple[str, str, dict[str, Any]]] = []
        self._now = now
        self._override: dict[str, Any] | None = None

    def routes(self) -> list[web.RouteDef]:
        path = PREFIX + "templates/{name}"
        return [
            web.get(PREFIX + "templates", self._list),
            web.get(path, self._one),
            *(web.post(f"{path}:{order}", self._order) for order in ("promote", "rollback", "reset")),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return _json({"templates": [self._row("support"), self._row(LONG)] if self.are_any else []})

    async def _one(self, request: web.Request) -> web.Response:
        found = [_figures(3, 1900), _figures(2, 210), _figures(None, 12), _figures(4, 40, shadow=True)]
        name = request.match_info["name"]
        return _json({**self._row(name), "since": self._now - 3600, "until": self._now, "figures": found})

    async def _order(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.orders.append((request.path.removeprefix(PREFIX), request.headers.get("if-match", ""), body))
        kind = request.path.rpartition(":")[2]
        override = {"kind": kind, "version": body.get("version", 2), "before": 3, "who": HOSTILE, "at": self._now}
        self._override = None if kind == "reset" else {**override, "reason": body["reason"]}
        return _json(self._row(request.match_info["name"]))

    def _row(self, name: str) -> dict[str, Any]:
        override = self._override
        versions = [_version(4), _version(3, share=0.9, labels=["production"]), _version(2, share=0.1, evidence=True)]
        versions.append(_version(1, stepped=True))
        if override is not None:
            versions = [{**each, "share": float(each["version"] == override["version"])} for each in versions]
        return {
            "template": name,
            "description": f"Answers the questions of customers {HOSTILE}",
            "file": f"templates/{name}.yaml",
            "labels": {"production": 3},
            "standing": 3,
            "versions": versions,
            "rollout": {
                "weights": {"3": 90, "2": 10},
                "baseline": 3,
                "by": "conversation",
                "salt": "",
                "step_back": {"errors": "+1%", "latency": "1.5x"},
                "confidence": 0.95,
                "shadow": {"version": 4, "share": 0.1, "budget_nano_usd": 1_000_000_000},
            },
            "override": override,
            "trial": 0,
            "etag": ETAG,
        }


def _version(
    number: int, *, share: float = 0.0, labels: list[str] | None = None, evidence: bool = False, stepped: bool = False
) -> dict[str, Any]:
    why = f"errors: worse than +1% allows, shown by 120 comparisons {HOSTILE}"
    return {
        "version": number,
        "hash": f"{number:012x}",
        "labels": labels or [],
        "share": share,
        "stepped_back": {"at": 0.0, "measure": "errors", "bound": "+1%", "why": why} if stepped else None,
        "evidence": [{"measure": "cost", "bound": "1.5x", "evidence": 3.14159, "needed": 160.0}] if evidence else [],
    }


def _figures(number: int | None, calls: int, *, shadow: bool = False) -> dict[str, Any]:
    names = ("latency_p50_ms", "latency_p95_ms", "input_tokens", "output_tokens")
    return {
        "version": number,
        "hash": f"{number or 9:012x}",
        "shadow": shadow,
        "calls": calls,
        "rated": 0,
        "errors": _figure(0.02, 0.01, 0.04),
        **{name: _figure(120.0, 90.5, 150.25) for name in names},
        "cost_nano_usd": _figure(1_250_000.0, 1_000_000.0, 1_500_000.0),
        "cache_hits": _figure(0.1, 0.05, 0.2),
        "feedback": _figure(None, None, None),
    }


def _figure(value: float | None, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def _json(told: object) -> web.Response:
    return web.Response(body=orjson.dumps(told), content_type="application/json")
