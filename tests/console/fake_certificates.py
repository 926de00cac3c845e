"""The routing's part of the made-up admin API."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from gateway.ingress.admin.server import PREFIX
from tests.console.traffic import HOSTILE, LONG


class FakeCertificates:
    """`are_any` False: no route has candidates."""

    def __init__(self, now: float) -> None:
        self.are_any = True
        self._rows = [
            _row("chat", "cheap", now - 86_400),
            _row("chat", LONG, None, standing="uncertified", labels=0, serves=False, share=0.25, price_ratio=None),
            _row("invoices", HOSTILE, now - 7200, standing="revoked", kind="cascade", prompt="0123456789abcdef"),
            _row("invoices", "dear", now - 60, standing="refused", least_loss=0.07, mean_loss=0.11, most_loss=0.16),
        ]
        self._rows[0]["suspicious"] = True
        self._rows[3]["budget"] = {"account": "trials of invoices", "limit_nano_usd": None, "spent_nano_usd": None}

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PREFIX + "certificates", self._list)]

    async def _list(self, request: web.Request) -> web.Response:
        route = request.query.get("route")
        rows = [each for each in self._rows if self.are_any and route in (None, each["route"])]
        return web.Response(body=orjson.dumps({"certificates": rows}), content_type="application/json")


def _row(route: str, candidate: str, since: float | None, **changes: Any) -> dict[str, Any]:
    budget = {"limit_nano_usd": 20_000_000_000, "spent_nano_usd": 1_250_000_000, "left_nano_usd": 18_750_000_000}
    return {
        "route": route,
        "candidate": candidate,
        "prompt": None,
        "kind": "model",
        "reference": f"strong {HOSTILE}",
        "standing": "certified",
        "serves": True,
        "since": since,
        "why": f"the loss is at most 1.43 %, with 95 % confidence, after 300 labels {HOSTILE}",
        "trial": 1,
        "labels": 300,
        "audited": 12,
        "mean_loss": 0.004,
        "least_loss": 0.0,
        "most_loss": 0.0143,
        "max_loss": 0.05,
        "confidence": 0.95,
        "score": "json_equal",
        "judge": None,
        "judge_error": 0.0,
        "share": 0.02,
        "suspicious": False,
        "price_ratio": 0.1,
        "budget": {"account": f"trials of {route}", **budget},
        **changes,
    }
