"""The certificates of every route's candidates, as this worker knows them, kept in step with those of all the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.core.deployment import Model
from gateway.route.candidates import Candidate, Cascade, Guarantee, Learned, Standing
from gateway.route.certificate.certificate import Shares
from gateway.route.certificate.certificate import Standing as Shown
from gateway.route.certificate.shared import Shared, States
from gateway.route.certificate.terms import Subject, Terms
from gateway.route.decision import Held
from gateway.route.rules import Route, Routes

MOST = 2_000
"""Certificates that a worker knows of; of more, those that it has known longest are forgotten until they are asked for."""
INTERVAL = 1.0
"""Seconds between two looks at what other workers have learnt."""


@dataclass(slots=True)
class Certificate:
    """Of `candidate` on `route`, under the policy in force, for calls with this system prompt ("": whatever they have)."""

    route: Route
    candidate: Candidate
    prompt: str
    guarantee: Guarantee
    shared: Shared
    held: Held

    @property
    def shown(self) -> Shown:
        return self.shared.standing


class Certificates:
    """`writer` gives names that no other writer has, ever."""

    def __init__(self, states: States, writer: Callable[[], str], clock: Clock, *, pepper: bytes) -> None:
        self._states = states
        self._writer = writer
        self._clock = clock
        self._pepper = pepper
        self._known: dict[tuple[str, str, str], Certificate] = {}
        self._by_name: dict[str, Certificate] = {}
        self._used: set[str] = set()

    def __iter__(self) -> Iterator[Certificate]:
        return iter(list(self._known.values()))

    def held(self, route: Route, candidate: Candidate, prompt: str) -> Held:
        """What is known here of a candidate on a route that has a guarantee."""
        known = self._known.get((route.name, candidate.name, prompt))
        if known is None or known.route is not route:
            if route.guarantee is None:
                return Held()
            known = self._adopt(route, candidate, prompt, route.guarantee)
        self._used.add(known.shared.name)
        return known.held

    def learn(self, certificate: str, cell: int) -> None:
        """A label, a cell of core.bet. One for a certificate that is known no more is for nothing."""
        known = self._by_name.get(certificate)
        if known is not None:
            known.shared.learn(cell, self._clock.now())
            _look(known)

    async def begin_anew(self, known: Certificate, why: str) -> bool:
        """Forgets what was shown of a candidate; whether the store knows that yet, and so every worker within INTERVAL."""
        done = await known.shared.begin_anew(self._states, self._clock.now(), why)
        _look(known)
        return done

    async def run(self, routes: Callable[[], Routes]) -> None:
        """Writes and reads what was learnt, until it is cancelled. `routes` gives those in force."""
        while True:
            await self.flush(routes())
            await asyncio.sleep(INTERVAL)

    async def flush(self, routes: Routes) -> None:
        """Of the routes that there are; the others are forgotten here, and not in the store."""
        wanted = {
            (route.name, candidate.name): (route, candidate) for route in routes.rules for candidate in route.candidates
        }
        for known in self:
            if (known.route.name, known.candidate.name) not in wanted:
                self._forget(known)
        for route, candidate in wanted.values():
            self.held(route, candidate, "")
        used, self._used = self._used, set()
        for known in self:
            if known.shared.name in used or known.shared.has_news:
                await known.shared.flush(self._states, self._clock.now())
                _look(known)

    def _adopt(self, route: Route, candidate: Candidate, prompt: str, guarantee: Guarantee) -> Certificate:
        name = subject_of(route, candidate, prompt, guarantee).name(self._pepper)
        terms = Terms(guarantee.max_loss, guarantee.confidence, guarantee.judge_error)
        shares = Shares(guarantee.shadow, guarantee.audit)
        key = (route.name, candidate.name, prompt)
        before = self._known.get(key)
        if before is not None and before.shared.name == name:
            before.shared.change(terms, shares)
            shared = before.shared
        else:
            shared = Shared(name, terms, self._writer, pepper=self._pepper, shares=shares)
        if before is not None:
            self._forget(before)
        while len(self._known) >= MOST:
            self._forget(next(iter(self._known.values())))
        known = self._known[key] = self._by_name[name] = Certificate(
            route, candidate, prompt, guarantee, shared, Held()
        )
        _look(known)
        return known

    def _forget(self, known: Certificate) -> None:
        """Here; what was shown is in the store."""
        self._by_name.pop(known.shared.name, None)
        self._known.pop((known.route.name, known.candidate.name, known.prompt), None)


def _look(known: Certificate) -> None:
    """Once for each change, and not for each call."""
    shared = known.shared
    shown = Standing(shared.standing.status.value)
    if shown is Standing.CERTIFIED and not shared.serves:
        shown = Standing.UNCERTIFIED  # until the store has confirmed it
    known.held = Held(shown, shared.share, shared.name)


def subject_of(route: Route, candidate: Candidate, prompt: str, guarantee: Guarantee) -> Subject:
    """All that the candidate's labels on the route depend on; of a `prompt` with a `|` in it, the first part is the template."""
    judge = "" if guarantee.judge is None else f" by {_written(guarantee.judge)}"
    template, _, prompt = prompt.rpartition("|")
    return Subject(
        route=route.name,
        reference=tuple(each.name for each in guarantee.reference.deployments),
        candidate=described(candidate),
        score=guarantee.scorer.value + judge,
        template=template,
        prompt=prompt,
    )


def described(candidate: Candidate) -> str:
    """What it is, by the deployments that answer."""
    if isinstance(candidate, Cascade):
        second = (
            ""
            if candidate.second is None
            else f" against {_written(candidate.second)} on {candidate.on.value} {candidate.part}"
        )
        checks = ",".join(sorted(check.value for check in candidate.when))
        return f"try {_written(candidate.cheap)}{second} unless {checks} then {_written(candidate.strong)}"
    if isinstance(candidate, Learned):
        return f"{candidate.strong_share} {_written(candidate.weak)} or {_written(candidate.strong)}"
    return _written(candidate)


def _written(model: Model) -> str:
    """By what answers, and not by what it is called here."""
    return "+".join(sorted(each.name for each in model.deployments))
