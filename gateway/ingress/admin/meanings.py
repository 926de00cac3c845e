"""What the semantic cache has learnt, and a user's word that one of its answers was wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from gateway.cache.place import key_of
from gateway.cache.rules import CacheRules
from gateway.cache.semantic.asked import Meanings
from gateway.core.errors import InvalidRequest, NotFound
from gateway.ingress.admin import fields
from gateway.ingress.admin.server import PREFIX

DEFAULT = "default"
"""The rule of the routes without one of their own, as the policy calls it."""
OWN = ("reasons", "histogram", "near_misses", "wrong_examples")
"""What of a route's state this worker alone has seen; the rest is of all workers."""


class Removes(Protocol):
    """See store.contract.CacheStore."""

    async def remove(self, names: Collection[str]) -> int: ...


class MeaningRoutes:
    """`rules` gives the policy's section in force; `is_installed` whether the packages of the semantic cache are there."""

    def __init__(
        self, meanings: Meanings, store: Removes, rules: Callable[[], CacheRules], is_installed: Callable[[], bool]
    ) -> None:
        self._meanings = meanings
        self._store = store
        self._rules = rules
        self._is_installed = is_installed

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get(PREFIX + "cache/semantic", self._state),
            web.post(PREFIX + "cache/entries/{id}:report", self._report),
        )

    async def _state(self, request: web.Request) -> web.Response:
        states = self._meanings.state()
        return fields.json(
            {
                "is_installed": self._is_installed(),
                "routes": [_route(each) for each in states],
                "unseen": _unseen(self._rules(), {each["route"] for each in states}),
                "this_worker": {"figures": self._meanings.figures()},
            }
        )

    async def _report(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if key_of(name) is None:
            raise NotFound("no answer is kept under such a name")
        bad = (await fields.read_fields(request, {"bad"})).get("bad")
        if not isinstance(bad, bool):
            message = "say bad: true if the answer was wrong for the question, or bad: false"
            code = "missing_parameter" if bad is None else "invalid_type"
            raise InvalidRequest(message, code=code, param="bad")
        removed = (
            await self._store.remove([name]) if bad else 0
        )  # first: an order that failed and is repeated counts once
        await self._meanings.report(name, bad=bad)
        return fields.json({"removed": removed})


def _route(state: Mapping[str, Any]) -> Mapping[str, Any]:
    shared = {name: value for name, value in state.items() if name not in OWN}
    own = {name: state[name] for name in OWN}
    return {**shared, "route": state["route"] or None, "template": state["template"] or None, "this_worker": own}


def _unseen(rules: CacheRules, seen: set[str]) -> Sequence[str]:
    """The rules of the policy that ask for it, and of which this worker has had no call."""
    used = {route if route in rules.routes else DEFAULT for route in seen}
    asking = {DEFAULT: rules.default, **rules.routes}
    return [name for name, rule in asking.items() if rule is not None and rule.semantic and name not in used]
