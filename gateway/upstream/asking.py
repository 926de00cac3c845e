"""How one call asks models: the plan's for its own answer, and others beside it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.core.attempt import Attempts
from gateway.core.call import Call
from gateway.core.deployment import Deployment, Model
from gateway.core.tasks import Tasks
from gateway.upstream.answer import Answer
from gateway.upstream.asked import Asked, Meter, Purse
from gateway.upstream.hedge import Hedge, HedgeBudget, Hedged
from gateway.upstream.opening import Opening, Reach
from gateway.upstream.opening import Purse as Reserves


class Hold(Protocol):
    """What the call holds of budgets; `own` pays for its own answer."""

    @property
    def own(self) -> Purse: ...

    def of(self, model: Model) -> object:
        """Says whose answer that is."""
        ...

    def beside(self, model: Model, *, is_needed: bool) -> Purse: ...

    async def admit(self) -> None: ...


@dataclass(slots=True)
class Asking:
    """`model` answers the call; without `hedge` nobody is asked beside its first deployment."""

    call: Call
    attempts: Attempts
    hold: Hold
    model: Model
    hedge: Hedge | None
    meter: Meter
    reach: Reach
    hedges: HedgeBudget
    tasks: Tasks

    async def admit(self) -> None:
        """Takes the call's place in the rates before anybody is asked. Raises RateLimited, Overloaded."""
        await self.hold.admit()

    def open(self, plan: tuple[Deployment, ...], *, reason: str = "primary") -> AbstractAsyncContextManager[Answer]:
        """The call's own answer. Entering it raises as Opening does."""
        if self.hedge is None or len(plan) < 2:
            return self._opening(plan, self.hold.own, reason=reason)
        first = self._asked(plan, self.hold.own, reason=reason)
        return Hedged(first, self._second, self.hedge, budget=self.hedges, clock=self.reach.clock)

    def escalate(self, plan: tuple[Deployment, ...], model: Model) -> AbstractAsyncContextManager[Answer]:
        """The same by another model, as what was asked beside it was not good enough."""
        self.model = model
        self.hold.of(model)
        return self.open(plan, reason="escalation")

    def beside(self, plan: tuple[Deployment, ...], model: Model, *, reason: str, is_needed: bool) -> Asked:
        """A further answer. If one that is needed cannot be paid, neither can the call."""
        return self._asked(plan, self.hold.beside(model, is_needed=is_needed), reason=reason)

    def _second(self, deployment: Deployment) -> Asked:
        purse = self.hold.beside(self.model, is_needed=False)
        return self._asked((deployment,), purse, reason="hedge", is_single=True)

    def _asked(self, plan: tuple[Deployment, ...], purse: Purse, *, reason: str, is_single: bool = False) -> Asked:
        def opens(pays: Reserves) -> Opening:
            return self._opening(plan, pays, reason=reason, is_single=is_single)

        return Asked(opens, purse, self.call, meter=self.meter, tasks=self.tasks)

    def _opening(
        self, plan: tuple[Deployment, ...], pays: Reserves, *, reason: str, is_single: bool = False
    ) -> Opening:
        return Opening(self.reach, plan, self.call, self.attempts, pays, reason=reason, is_single=is_single)
