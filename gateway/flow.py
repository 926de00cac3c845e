"""The way of one call, on one page.

A call goes ingress → auth → template → budget → cache → route → upstream → meter → trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gateway.auth.keyring import Keyring
from gateway.budget.budgets import Budgets
from gateway.cache.replay import Replays
from gateway.core.arrival import Arrival, Reply
from gateway.core.clock import Clock
from gateway.core.secret import Secret
from gateway.meter.bill import Meter
from gateway.policy.current import Current
from gateway.route import plan
from gateway.template import apply
from gateway.trace.record import Record, Write
from gateway.upstream.open import Upstream


@dataclass(frozen=True, slots=True)
class Flow:
    policy: Current
    auth: Keyring
    budget: Budgets
    cache: Replays
    upstream: Upstream
    meter: Meter
    trace: Write
    clock: Clock
    random: Random

    async def run(self, ingress: Arrival, reply: Reply) -> None:
        """Answers one call. Leaving a block settles what it held, however the call ends; errors are ingress's to tell."""
        policy = self.policy.current
        with Record(ingress.id, ingress.received, policy.version, clock=self.clock, write=self.trace) as record:
            record.tenant = tenant = await self.auth.identify(ingress.credential, policy.tenants, peer=ingress.peer)
            record.call = call = apply.template(ingress.read(strict=policy.strict))

            with self.budget.hold(tenant, call, policy.limits) as hold:
                record.hold = hold
                async with self.cache.claim(tenant, call) as claim:
                    tokens = await self.meter.tokens_in(call) if policy.routes.counts_tokens else 0
                    decision = plan.decide(call, tenant, policy.routes, lambda: tokens)
                    record.route = decision.route

                    deployments = plan.order(decision.model, self.random)
                    purse = hold.of(decision.model)
                    async with claim.hit or self.upstream.open(deployments, call, record.attempts, purse) as answer:
                        await hold.admit()
                        record.answered(answer)
                        reply.begin(
                            answer.content_type, stream=answer.is_stream, headers=record.headers() + hold.headers()
                        )
                        try:
                            async for chunk in hold.within(answer):
                                claim.keep(chunk)
                                await reply.send(chunk)
                        finally:
                            answer.close()  # a provider that is still talking stops before its tokens are counted
                            record.bill = bill = await self.meter.bill(call, answer)
                            hold.settle(bill)

                    last = answer.ending(bill.cost, bill.usage)
                    claim.complete(last, answer.content_type)
        reply.end(last, headers=record.closing_headers())

    async def models(self, credential: Secret | None) -> list[str]:
        """The names the caller may ask for."""
        policy = self.policy.current
        tenant = await self.auth.identify(credential, policy.tenants)
        return plan.visible(tenant, policy.routes)

    async def check_model(self, credential: Secret | None, name: str) -> None:
        """Raises NotFound unless the caller may ask for this model."""
        policy = self.policy.current
        tenant = await self.auth.identify(credential, policy.tenants)
        plan.check(name, tenant, policy.routes)
