"""The routes whose calls were seen lately, and the comparing of their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from gateway.cache.semantic.asked import Asked, Found
from gateway.cache.semantic.outside import Judges, States
from gateway.cache.semantic.proof import judge
from gateway.cache.semantic.proof.comparison import Alike, compare, said
from gateway.cache.semantic.proof.route import Route, name_of
from gateway.core.errors import GatewayError

MOST = 1000
"""Routes of this worker; the one used longest ago makes room."""
REMEMBERED = 10_000
"""Served entries of which this worker knows at what similarity they were served."""


class Routes:
    """`judges` None: there is nobody to ask. `counts` tells of what was not as it should be."""

    def __init__(self, states: States, judges: Judges | None, random: Callable[[], float], *, pepper: bytes) -> None:
        self._states = states
        self._judges = judges
        self._random = random
        self._pepper = pepper
        self._routes: dict[str, Route] = {}
        self._used: set[str] = set()
        self._served: dict[str, tuple[str, float]] = {}
        self.counts: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Route]:
        return iter(list(self._routes.values()))

    def of(self, asked: Asked, embedder: str) -> Route:
        """The route of this call, which from now on is kept in step with the store."""
        name = name_of(asked, embedder, self._pepper)
        route = self._routes.pop(name, None) or Route(asked, embedder, name, self._random, pepper=self._pepper)
        self._routes[name] = route
        self._used.add(name)
        while len(self._routes) > MOST:
            del self._routes[next(iter(self._routes))]
        return route

    def note_served(self, name: str, route: Route, similarity: float) -> None:
        self._served.pop(name, None)
        self._served[name] = (route.shared.name, similarity)
        while len(self._served) > REMEMBERED:
            del self._served[next(iter(self._served))]

    async def learn(self, route: Route, found: Found, kept: bytes, real: bytes) -> None:
        """Compares, and counts it for the route. A wrong one is written at once."""
        right = await self._agree(found, kept, real)
        if right is None or found.similarity is None:
            return
        route.shared.learn(("right" if right else "wrong", found.similarity))
        if not right:
            route.note_wrong(found)
            await route.shared.flush(self._states)

    async def report(self, name: str, route_name: str | None) -> None:
        """A wrong hit of the entry, which was kept for calls of this route. One served by another worker is taken for one of the
        nearest: that makes no route serve more."""
        shared_name, similarity = self._served.pop(name, ("", 1.0))
        for route in self:
            if route.shared.name == shared_name or (not shared_name and route.route == route_name):
                route.shared.learn(("bad", similarity))
                await route.shared.flush(self._states)

    async def flush(self, *, all: bool = False) -> None:
        """Writes what was learnt of routes, and reads what others have of those that were used since the last time."""
        used, self._used = self._used, set()
        for name, route in list(self._routes.items()):
            if all or name in used or route.shared.has_news:
                await route.shared.flush(self._states)

    async def _agree(self, found: Found, kept: bytes, real: bytes) -> bool | None:
        """None: the judge could not be asked."""
        one, other = said(kept), said(real)
        if one is None or other is None:
            return False
        alike = compare(one, other)
        if alike is not Alike.UNCLEAR:
            return alike is Alike.YES
        model = found.asked.rule.judge
        if model is None or self._judges is None:
            return False
        prompt = judge.prompt(found.question, found.neighbour, one, other)
        if prompt is None:
            return False
        try:
            return judge.agrees(await self._judges.ask(model, prompt))
        except (GatewayError, OSError, TimeoutError, ValueError):
            self.counts["judge_failed"] += 1
            return None
