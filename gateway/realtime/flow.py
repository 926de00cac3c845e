"""The way of one session, on one page: the stages of a call, around a relay of messages instead of an answer.

A session goes ingress → auth → budget → route → upstream → meter → trace. It has no template, for nobody knows its prompt, and no
cache. docs/decisions/027 says how it is paid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.auth.keyring import Keyring
from gateway.budget.budgets import Budgets
from gateway.cache.replay import Unclaimed
from gateway.core.arrival import Arrival, Headers
from gateway.core.clock import Clock
from gateway.core.peer import Peer
from gateway.core.tasks import Tasks
from gateway.meter.bill import Meter
from gateway.policy.current import Current
from gateway.realtime.context import Context
from gateway.realtime.relay import Relay
from gateway.realtime.spending import SessionEstimates, Spending
from gateway.route.router import Router
from gateway.trace.recorder import Recorder
from gateway.upstream.sessions import Sessions


class Client(Protocol):
    def accept(self, headers: Headers) -> Peer:
        """Says yes to the client. Raises Overloaded when the gateway is about to go."""
        ...


@dataclass(frozen=True, slots=True)
class RealtimeFlow:
    policy: Current
    auth: Keyring
    budget: Budgets
    route: Router
    upstream: Sessions
    meter: Meter
    trace: Recorder
    tasks: Tasks
    clock: Clock

    async def run(self, ingress: Arrival, client: Client) -> None:
        """Holds one session. Leaving a block settles what it held, however the session ends; until the client is accepted,
        errors are ingress's to tell."""
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            tenant = record.auth(await self.auth.identify(ingress.credential, policy.tenants, peer=ingress.peer))
            await self.budget.admit(tenant)
            call = record.template(record.ingress(ingress.read(strict=policy.strict)))

            estimates = SessionEstimates(Context())
            with self.budget.hold(tenant, call, policy.limits, estimates) as hold:
                record.budget(hold)
                record.basis(self.route.basis(call, tenant, policy.routes))
                decision = record.decide(await self.route.decide(call, tenant, policy.routes, self.meter.tokens_in))
                await hold.of(decision.model).admit()
                record.cache(Unclaimed())
                deployments = self.upstream.able(self.route.order(decision, call))
                record.route(deployments)

                spending = Spending(hold, decision.model, estimates)
                try:
                    async with self.upstream.open(deployments, call, record.attempts, spending) as provider:
                        record.upstream(provider)
                        self.route.begun(decision, provider.deployment)
                        peer = client.accept(record.headers() + hold.headers())
                        relay = Relay(
                            peer,
                            provider,
                            spending,
                            call=call,
                            limits=policy.realtime,
                            clock=self.clock,
                            tasks=self.tasks,
                        )
                        try:
                            await relay.run()
                        finally:
                            record.hung_up(relay.ending.by, relay.ending.code, spending.responses)
                            hold.own.is_stopped = relay.ending.is_for_money
                        relay.ending.check()
                finally:
                    spending.settle()
                    if record.served is not None:
                        record.meter(spending.bill)
