"""The stage of a call that decides who answers it, with what this worker knows besides the policy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.tenant import Tenant
from gateway.route import plan
from gateway.route.cascade import AnswerT, Asking, Cascading
from gateway.route.decision import Circumstances, Decision
from gateway.route.rules import Routes


@dataclass(frozen=True, slots=True)
class Router:
    """One for each worker."""

    clock: Clock
    random: Random

    def decide(self, call: Call, tenant: Tenant, routes: Routes, tokens_in: Callable[[], int]) -> Decision:
        """Raises NotFound, as plan.decide does."""
        return plan.decide(call, tenant, routes, Circumstances(tokens_in, self.clock.now()))

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
