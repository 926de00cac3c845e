"""Templates, outcomes and stores that tests of rollouts play with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from random import Random

from gateway.core.errors import Overloaded
from gateway.core.neighbour import Versioned
from gateway.template.rollout.bounds import StepBack
from gateway.template.rollout.ledger import States
from gateway.template.rollout.outcome import Outcome
from gateway.template.rules import Message, Mode, Rollout, Template, Version

UNITS = count()


def version(number: int) -> Version:
    return Version(number, f"{number:012x}", (Message("system", f"Be {number}."),))


def template(
    weights: Mapping[int, int] | None = None, *, baseline: int = 1, salt: str = "", bounds: StepBack | None = None
) -> Template:
    """`support`, of three versions; without weights there is no rollout."""
    rollout = None
    if weights is not None:
        rollout = Rollout(weights, baseline, salt=salt, step_back=bounds or StepBack())
    versions = {number: version(number) for number in (1, 2, 3)}
    return Template("support", Mode.WHOLE, versions, standing=1, labels={"production": 1}, rollout=rollout)


def call(number: int, **told: object) -> Outcome:
    """The first call of a new conversation, that got this version."""
    outcome = Outcome(
        "support", version(number).hash, f"u{next(UNITS)}", latency_ms=1000.0, cost=500, input=10, output=20
    )
    return replace(outcome, **told)  # type: ignore[arg-type]


def failed(number: int) -> Outcome:
    return call(number, failed=True, latency_ms=None, cost=None)


class Losing:
    """A store that is away now and then, before or after it did what it was asked."""

    def __init__(self, store: States, random: Random, lost: float = 0.3) -> None:
        self._store = store
        self._random = random
        self.lost = lost

    async def get(self, name: str) -> Versioned | None:
        self._perhaps("away")
        return await self._store.get(name)

    async def put(self, name: str, value: bytes, *, version: int) -> bool:
        self._perhaps("away")
        done = await self._store.put(name, value, version=version)
        self._perhaps("the reply was lost")
        return done

    def _perhaps(self, why: str) -> None:
        if self._random.random() < self.lost:
            raise Overloaded(why)
