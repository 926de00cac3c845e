"""The semantic cache's part of the made-up admin API."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from gateway.ingress.admin.server import PREFIX
from tests.console.traffic import ENTRY, HOSTILE, LONG

STATES = {
    "faq": {
        "state": "earned",
        "threshold": 0.9,
        "labels": 330,
        "compared": 391,
        "wrong": 2,
        "hits": 4180,
        "bound": 0.0186,
    },
    "chat": {"state": "learning", "labels": 120, "compared": 120, "wrong": 1},
    HOSTILE: {"state": "off", "labels": 330, "compared": 330, "wrong": 41, "judge": "gpt-4o-mini", "lost": 1},
    "": {"state": "unproven", "threshold": 0.95, "max_error": None, "hits": 77, "template": f"{HOSTILE}@{LONG}"},
}
"""Routes, with what is not as in a state that has seen nothing."""
MISSES = (
    ("How do I install PostgreSQL 16 on Ubuntu?", "How do I install PostgreSQL 15 on Ubuntu?", 0.9731, "guard_number"),
    ("Can I return a gift card?", "Can I return a gift?", 0.9214, "not_earned"),
    (f"What does {HOSTILE} mean?", f"What does {LONG} mean?", 0.8442, "contested"),
)
WRONG = (("When does the shop open on Sundays?", f"When does the {HOSTILE} open?", 0.9127, "the answers differ"),)


class FakeMeanings:
    """`reported` has what was reported, by the entry's name; `is_asked` False: no rule of the policy asks for it."""

    def __init__(self) -> None:
        self.is_asked = self.is_installed = True
        self.reported: list[tuple[str, dict[str, Any]]] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PREFIX + "cache/semantic", self._state),
            web.post(PREFIX + "cache/entries/{id}:report", self._report),
        ]

    async def _state(self, request: web.Request) -> web.Response:
        gone = {name for name, _ in self.reported}
        routes = [_route(name, state, gone) for name, state in STATES.items()]
        return _json(
            {
                "is_installed": self.is_installed,
                "routes": routes if self.is_asked else [],
                "unseen": ["legal", HOSTILE] if self.is_asked else [],
                "this_worker": {
                    "figures": {"entries": 8123, "damaged": 0, "not_kept_busy": 4} if self.is_asked else {}
                },
            }
        )

    async def _report(self, request: web.Request) -> web.Response:
        self.reported.append((request.match_info["id"], await request.json()))
        return _json({"removed": 1})


def _route(name: str, state: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    nothing = {"hits": 0, "compared": 0, "wrong": 0, "lost": 0, "labels": 0, "threshold": None, "max_error": 0.02}
    about = {"model": "gpt-4o-mini", "template": None, "embedder": "minilm", "judge": None, "bound": 1.0}
    examples = [] if ENTRY in gone else [_example(*each) for each in WRONG]
    return {
        **nothing,
        **about,
        "labels_to_learn": 330,
        "confidence": 0.95,
        **state,
        "route": name or None,
        "this_worker": {
            "reasons": {"near": 310, "no_neighbour": 822, "guard_number": 17, "personal": 9},
            "histogram": [[round(0.7 + 0.02 * place, 2), (place * place * 37) % 61] for place in range(16)],
            "near_misses": [_example(*each) for each in MISSES],
            "wrong_examples": examples if state["state"] != "unproven" else [],
        },
    }


def _example(question: str, neighbour: str, similarity: float, what: str) -> dict[str, Any]:
    return {"name": ENTRY, "question": question, "neighbour": neighbour, "similarity": similarity, "what": what}


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
