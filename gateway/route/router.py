"""The stage of a call that decides who answers it, with what this worker knows besides the policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.tenant import Tenant
from gateway.route import plan
from gateway.route.basis import Basis
from gateway.route.certificate.certificates import Certificates
from gateway.route.decision import Circumstances, Decision
from gateway.route.rules import Routes
from gateway.route.trials import Trials, Watched


@dataclass(frozen=True, slots=True)
class Router:
    """One for each worker."""

    clock: Clock
    random: Random
    certificates: Certificates
    beside: Trials

    def decide(self, call: Call, tenant: Tenant, routes: Routes, tokens_in: Callable[[], int]) -> Decision:
        """Raises NotFound, as plan.decide does."""
        return plan.decide(call, tenant, routes, Circumstances(tokens_in, self.clock.now(), self.certificates.held))

    def basis(self, call: Call, tenant: Tenant, routes: Routes, tokens: int) -> Basis:
        """What `decide` rests on, for the record."""
        return Basis(call, tenant, routes, tokens)

    def trials(self, decision: Decision, call: Call) -> Watched:
        """Is shown the answer, and then starts what is tried beside it."""
        return self.beside.of(decision, call)

    def order(self, model: Model) -> tuple[Deployment, ...]:
        """The model's deployments in the order in which they are to be tried."""
        return plan.order(model, self.random)
