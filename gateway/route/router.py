"""The stage of a call that decides who answers it, with what this worker knows besides the policy."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.tenant import Tenant
from gateway.route import plan
from gateway.route.cascade import AnswerT, Asking, Cascading
from gateway.route.certificate.certificates import Certificates
from gateway.route.decision import Circumstances, Decision
from gateway.route.learned import LearnedScores
from gateway.route.rules import Routes
from gateway.route.trials import Trials, Watched


@dataclass(frozen=True, slots=True)
class Router:
    """One for each worker. What `random` draws must not be foreseen by who calls."""

    clock: Clock
    random: Random
    certificates: Certificates
    scores: LearnedScores
    beside: Trials

    def decide(self, call: Call, tenant: Tenant, routes: Routes, tokens_in: Callable[[], int]) -> Decision:
        """Raises NotFound, as plan.decide does."""
        given = Circumstances(
            tokens_in, self.clock.now(), self.random.random, self.certificates.held, scores=self.scores
        )
        return plan.decide(call, tenant, routes, given)

    def loops(self, routes: Callable[[], Routes]) -> Mapping[str, Coroutine[Any, Any, None]]:
        """What runs as long as the worker does; `routes` gives those in force."""
        return {"certificates": self.certificates.run(routes), "scores": self.scores.run(routes)}

    async def flush(self, routes: Routes) -> None:
        """Writes and reads now what is learned; `loops` does so every second."""
        await self.scores.flush(routes)
        await self.certificates.flush(routes)

    def trials(self, decision: Decision, call: Call) -> Watched:
        """Is shown the answer, and then starts what is tried beside it."""
        return self.beside.of(decision, call)

    def open(
        self, decision: Decision, deployments: tuple[Deployment, ...], asking: Asking[AnswerT]
    ) -> AbstractAsyncContextManager[AnswerT]:
        """The call's answer: the model's own, or what its cascade comes to."""
        if decision.cascade is None:
            return asking.open(deployments)
        return Cascading(decision.cascade, asking, self.order)

    def order(self, model: Model) -> tuple[Deployment, ...]:
        """The model's deployments in the order in which they are to be tried."""
        return plan.order(model, self.random)
