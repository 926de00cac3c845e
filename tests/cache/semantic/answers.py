"""One comparison of two answers by a route that has a judge."""

from __future__ import annotations

from dataclasses import replace

from gateway.cache.semantic.asked import Found
from gateway.cache.semantic.proof.routes import Routes
from gateway.core.errors import Overloaded
from gateway.core.neighbour import Versioned
from tests.cache.semantic.worker import EARNS, INSTALL, INSTALL_TOO, PEPPER, asked, document, name


class Judge:
    """Replies one text, or fails when there is none."""

    def __init__(self, reply: str | None, heard: list[tuple[str, str]]) -> None:
        self._reply = reply
        self._heard = heard

    async def ask(self, model: str, prompt: str) -> str:
        self._heard.append((model, prompt))
        if self._reply is None:
            raise Overloaded("away")
        return self._reply


class Nowhere:
    """A store that keeps nothing."""

    async def get(self, name: str) -> Versioned | None:
        return None

    async def put(self, name: str, value: bytes, *, version: int) -> bool:
        return True


async def answer(
    kept: str, real: str, *, reply: str | None, heard: list[tuple[str, str]], judge: str | None = "judge-model"
) -> tuple[int, int]:
    """How many comparisons the route counts then, and how many of them as wrong."""
    routes = Routes(Nowhere(), Judge(reply, heard), lambda: 0.0, pepper=PEPPER)
    call = asked(INSTALL_TOO, rule=replace(EARNS, judge=judge))
    route = routes.of(call, "words")
    found = Found("shadow", "audit", call, 0.95, name(1), INSTALL_TOO, INSTALL)

    await routes.learn(route, found, document(kept), document(real))

    return route.shared.state.compared, route.shared.state.found_wrong
