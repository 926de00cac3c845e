"""What a changed policy would have done to the calls that were recorded here, compared with the one in force."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aiohttp import web

from gateway.core.clock import Clock
from gateway.core.errors import InvalidRequest, Overloaded
from gateway.ingress.admin import draft, fields
from gateway.ingress.admin.server import PREFIX
from gateway.policy.mistakes import PolicyError
from gateway.policy.quantities import last
from gateway.policy.snapshot import Snapshot
from gateway.replay.comparison import Comparison
from gateway.replay.report import document
from gateway.route.candidates import Standing
from gateway.trace.reading.calls import Calls
from gateway.trace.reading.search import search_of

_TURN = 8
"""Records after which whoever serves calls gets the interpreter: about a millisecond."""
_PAUSE = 0.0005


class ReplayRoutes:
    """One replay at a time. `current` gives the policy in force."""

    def __init__(
        self, calls: Calls, clock: Clock, current: Callable[[], Snapshot], compile_folder: Callable[[Path], Snapshot]
    ) -> None:
        self._calls = calls
        self._now = clock.now
        self._current = current
        self._compile_folder = compile_folder
        self._turn = asyncio.Lock()

    def routes(self) -> Sequence[web.RouteDef]:
        return (web.post(PREFIX + "policies:replay", self._replay),)

    async def _replay(self, request: web.Request) -> web.Response:
        asked = await fields.read_fields(request, {"files", "traffic", "states"})
        files, states = fields.texts(asked, "files"), _states(asked)
        seconds = _seconds(fields.text(asked, "traffic", "last-7d"))
        if self._turn.locked():
            raise Overloaded("another replay is under way", code="replay_under_way")
        async with self._turn:
            new = await asyncio.to_thread(self._compiled, files)
            if unknown := states.keys() - {rule.name for rule in new.routes.rules}:
                raise _wrong("states", f"the policy has no route {min(unknown)[:64]!r}")
            comparison = Comparison(self._current(), new, states)
            now = self._now()
            async for lines in self._calls.all(search_of({"since": repr(now - seconds)}, now=now)):
                await asyncio.to_thread(_take, comparison, lines)
            return fields.json(await asyncio.to_thread(document, comparison))

    def _compiled(self, files: Mapping[str, str]) -> Snapshot:
        try:
            return draft.compiled(files, self._compile_folder)
        except PolicyError as error:
            raise InvalidRequest(str(error), code="invalid_policy", param="files") from error


def _take(comparison: Comparison, lines: Sequence[bytes]) -> None:
    for at in range(0, len(lines), _TURN):
        for line in lines[at : at + _TURN]:
            comparison.take(line)
        time.sleep(_PAUSE)


def _seconds(traffic: str) -> float:
    try:
        return last(traffic)
    except ValueError as error:
        raise _wrong("traffic", str(error)) from None


def _states(asked: Mapping[str, object]) -> Mapping[str, Standing]:
    if "states" not in asked:
        return {}
    known = {each.value: each for each in Standing}
    states = fields.texts(asked, "states")
    if wrong := [standing for standing in states.values() if standing not in known]:
        raise _wrong("states", f"{wrong[0][:64]!r} is not {', '.join(known)}")
    return {route: known[standing] for route, standing in states.items()}


def _wrong(name: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_value", param=name)
