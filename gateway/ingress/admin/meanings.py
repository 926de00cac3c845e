"""What the semantic cache has learnt, and a user's word that one of its answers was wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from gateway.cache.place import key_of
from gateway.cache.rules import CacheRules
from gateway.cache.semantic.asked import Meanings, SemanticRule
from gateway.core.errors import InvalidRequest, NotFound
from gateway.ingress.admin import fields
from gateway.ingress.admin.server import PREFIX

DEFAULT = "default"
"""The rule of the routes without one of their own, as the policy calls it."""
OWN = ("reasons", "histogram", "near_misses", "wrong_examples")
"""What of a route's state this worker alone has seen; the rest is of all workers."""


Find = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""The record of the call with this id."""


class Reports(Protocol):
    """See cache.claim.Cache."""

    async def report(self, name: str | None, *, is_good: bool, by_meaning: bool, answer: str | None = None) -> bool: ...


class MeaningRoutes:
    """`rules` gives the policy's section in force; `is_installed` whether the packages that its rules need are there."""

    def __init__(
        self,
        meanings: Meanings,
        reports: Reports,
        find: Find,
        rules: Callable[[], CacheRules],
        is_installed: Callable[[Sequence[SemanticRule]], bool],
    ) -> None:
        self._meanings = meanings
        self._reports = reports
        self._find = find
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
                "is_installed": self._is_installed(self._rules().semantic),
                "routes": [_route(each) for each in states],
                "unseen": _unseen(self._rules(), {each["route"] for each in states}),
                "this_worker": {"figures": self._meanings.figures()},
            }
        )

    async def _report(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if key_of(name) is None:
            raise NotFound("no answer is kept under such a name")
        said = await fields.read_fields(request, {"bad", "request_id"})
        bad = said.get("bad")
        if not isinstance(bad, bool):
            message = "say bad: true if the answer was wrong for the question, or bad: false"
            code = "missing_parameter" if bad is None else "invalid_type"
            raise InvalidRequest(message, code=code, param="bad")
        by_meaning, answer = True, None
        if said.get("request_id") is not None:
            call = await self._given(name, fields.text(said, "request_id"))
            by_meaning, answer = call["cache_kind"] == "semantic", call.get("cache_answer")
        is_removed = await self._reports.report(name, is_good=not bad, by_meaning=by_meaning, answer=answer)
        return fields.json({"removed": int(is_removed)})

    async def _given(self, name: str, id: str) -> Mapping[str, Any]:
        """The record of the call with this id, if it was given what is kept under the name."""
        call = await self._find(id)
        if call is None or call.get("cache_entry") != name:
            raise NotFound("no such call was given this answer", code="call_not_found", param="request_id")
        return call


def _route(state: Mapping[str, Any]) -> Mapping[str, Any]:
    shared = {name: value for name, value in state.items() if name not in OWN}
    own = {name: state[name] for name in OWN}
    return {**shared, "route": state["route"] or None, "template": state["template"] or None, "this_worker": own}


def _unseen(rules: CacheRules, seen: set[str]) -> Sequence[str]:
    """The rules of the policy that ask for it, and of which this worker has had no call."""
    used = {route if route in rules.routes else DEFAULT for route in seen}
    asking = {DEFAULT: rules.default, **rules.routes}
    return [name for name, rule in asking.items() if rule is not None and rule.semantic and name not in used]
