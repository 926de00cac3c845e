"""The stage of a call that decides who answers it, with what this worker knows besides the policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.prompt import ByRoute
from gateway.core.tenant import Tenant
from gateway.route import plan
from gateway.route.abilities import may_be_long
from gateway.route.basis import Basis
from gateway.route.candidates import models_of
from gateway.route.cascade import AnswerT, Asking, Cascading
from gateway.route.certificate.certificates import Certificates
from gateway.route.choose import remembered
from gateway.route.conversation import conversation_of
from gateway.route.decision import Circumstances, Decision, Pin
from gateway.route.learned import LearnedScores
from gateway.route.pins import Pins
from gateway.route.rules import Route, Routes
from gateway.route.strategies import Seen
from gateway.route.trials import Trials, Watched


@dataclass(frozen=True, slots=True)
class Router:
    """One for each worker. What `random` draws must not be foreseen by who calls."""

    clock: Clock
    random: Random
    seen: Seen
    pins: Pins
    certificates: Certificates
    scores: LearnedScores
    beside: Trials

    async def template(
        self, call: Call, tenant: Tenant, routes: Routes, count: Callable[[Call], Awaitable[int]]
    ) -> ByRoute | None:
        """The template that a route puts round the call, which is judged as it came from the client. Raises NotFound."""
        if not routes.puts_templates:
            return None
        tokens = await count(call) if routes.counts_tokens and call.fields.get("messages") else 0
        return plan.template(call, tenant, routes, Circumstances(lambda: tokens, self.clock.now()))

    async def decide(
        self, call: Call, tenant: Tenant, routes: Routes, count: Callable[[Call], Awaitable[int]]
    ) -> Decision:
        """Raises NotFound and InvalidRequest, as plan.decide does. `count` gives the call's input tokens, and is asked only
        where they decide something."""
        counted = await count(call) if routes.counts_tokens else None
        tokens, now = counted or 0, self.clock.now()
        found = plan.find(call, tenant, routes, Circumstances(lambda: tokens, now))
        if routes.puts_templates and not call.is_own:
            plan.check_template(found, call)
        if counted is None and may_be_long(_models(found), call):
            counted = await count(call)
        conversation = None
        if isinstance(found, Route) and (found.candidates or found.canary):
            conversation = conversation_of(call, tenant)
            if (key := remembered(found, conversation)) is not None:
                await self.pins.find(key)
        given = Circumstances(
            lambda: tokens, now, self.random.random, self.certificates.held, self.pins.known, self.scores, counted
        )
        return plan.settle(found, call, tenant, given, conversation)

    def loops(self, routes: Callable[[], Routes]) -> Mapping[str, Coroutine[Any, Any, None]]:
        """What runs as long as the worker does; `routes` gives those in force."""
        return {"certificates": self.certificates.run(routes), "scores": self.scores.run(routes)}

    async def flush(self, routes: Routes) -> None:
        """Writes and reads now what is learned; `loops` does so every second."""
        await self.scores.flush(routes)
        await self.certificates.flush(routes)

    def basis(self, call: Call, tenant: Tenant, routes: Routes) -> Basis:
        """What `decide` rests on, for the record."""
        return Basis(call, tenant, routes)

    def trials(self, decision: Decision, call: Call) -> Watched:
        """Is shown the answer, and then starts what is tried beside it."""
        return self.beside.of(decision, call)

    def open(
        self, decision: Decision, deployments: tuple[Deployment, ...], asking: Asking[AnswerT]
    ) -> AbstractAsyncContextManager[AnswerT]:
        """The call's answer: the model's own, or what its cascade comes to."""
        if decision.cascade is None:
            return asking.open(deployments)
        return Cascading(decision.cascade, asking, lambda model: self.order(decision, asking.call, model))

    def order(self, decision: Decision, call: Call, model: Model | None = None) -> tuple[Deployment, ...]:
        """The deployments of the model that was decided on, or of another one, in the order in which they are to be tried."""
        return plan.order(model or decision.model, self.random, call, self.seen, decision)

    def begun(self, decision: Decision, deployment: Deployment) -> None:
        """An answer has begun, from this deployment; one that was kept has none with a name."""
        memory = decision.memory
        if memory is not None and deployment.name:
            pin = Pin(decision.candidate or decision.model.name, decision.model.name, deployment.name)
            self.pins.keep(memory.key, pin, shared=memory.is_shared)


def _models(found: Route | Model) -> Iterator[Model]:
    """Everybody who may be asked."""
    if isinstance(found, Model):
        yield found
        return
    yield found.model
    for candidate in found.candidates:
        yield from models_of(candidate)
    if found.canary is not None:
        yield found.canary.model
    if found.mirror is not None:
        yield found.mirror.model
