"""The way of one call, on one page.

A call goes ingress → auth → template → budget → cache → route → upstream → meter → trace.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.auth.keyring import Keyring
from gateway.budget.budgets import Budgets
from gateway.cache.claim import Cache
from gateway.core.arrival import Arrival, Asked, Remembering, Reply, Tried, Verdict
from gateway.core.errors import NotFound
from gateway.core.tenant import Tenant
from gateway.files.named import NamedFiles
from gateway.meter.bill import Meter
from gateway.policy.current import Current
from gateway.route import plan
from gateway.route.router import Router
from gateway.template.prompts import Prompts
from gateway.trace.recorder import Recorder
from gateway.upstream.open import Upstream


@dataclass(frozen=True, slots=True)
class Flow:
    policy: Current
    auth: Keyring
    files: NamedFiles
    template: Prompts
    budget: Budgets
    cache: Cache
    route: Router
    upstream: Upstream
    meter: Meter
    trace: Recorder

    async def run(self, ingress: Arrival, reply: Reply, memory: Remembering | None = None) -> None:
        """Answers one call. Leaving a block settles what it held, however the call ends; errors are ingress's to tell."""
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            tenant = record.auth(await self.auth.identify(ingress.credential, policy.tenants, peer=ingress.peer))
            await self.budget.admit(tenant)
            if memory is not None:
                await memory.recall(tenant)
            call = self.files.own(record.ingress(ingress.read(strict=policy.strict)), tenant, policy.keeper)
            by_route = await self.route.template(call, tenant, policy.routes, self.meter.tokens_in)
            call = record.template(await self.template.apply(call, tenant, policy.templates, by_route))

            with self.budget.hold(tenant, call, policy.limits) as hold:
                record.budget(hold)
                record.basis(self.route.basis(call, tenant, policy.routes))
                decision = record.decide(await self.route.decide(call, tenant, policy.routes, self.meter.tokens_in))
                hold.of(decision.model)

                async with self.cache.claim(tenant, call, decision, policy.cache, reply) as claim:
                    record.cache(claim)
                    deployments = self.route.order(decision, call)
                    record.route(deployments)
                    trials = self.route.trials(decision, call)

                    asking = self.upstream.asking(
                        call, record.attempts, hold, decision.model, meter=self.meter, hedge=decision.hedge
                    )
                    async with claim.hit or self.route.open(decision, deployments, asking) as answer:
                        await hold.admit()
                        record.upstream(answer)
                        self.route.begun(decision, answer.deployment)
                        claim.begin(answer, hold)
                        reply.begin(
                            answer.content_type,
                            stream=answer.is_stream,
                            headers=record.headers() + hold.headers(),
                            native=answer.native,
                        )
                        try:
                            async for chunk in hold.within(answer):
                                claim.keep(chunk)
                                trials.keep(chunk)
                                await reply.send(chunk)
                        finally:
                            answer.close()  # a provider that is still talking stops before its tokens are counted
                            paid = await self.meter.bill(call, answer)
                            hold.settle(paid)
                            bill = record.meter(paid)

                    last = answer.ending(bill.cost, bill.usage)
                    await claim.complete(last, answer, bill)
        if memory is not None:
            await memory.keep(last)
        reply.end(last, headers=record.closing_headers())
        trials.begin(last, answer, record.span)
        self.template.beside(call, decision.model.name, policy.templates, record.span)

    async def count(self, ingress: Arrival) -> int:
        """The input tokens of a call that is not made, counted here. Raises NotFound unless the caller may ask for its model."""
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            tenant = record.auth(await self.auth.identify(ingress.credential, policy.tenants, peer=ingress.peer))
            await self.budget.admit(tenant)
            call = record.ingress(ingress.read(strict=policy.strict))
            plan.check(call.model, tenant, policy.routes)
            return await self.meter.tokens_in(call)

    def trial(self, ingress: Tried) -> None:
        """Records what came of asking somebody else a call that was answered before."""
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            record.trial(ingress.result)

    async def caller(self, ingress: Asked) -> Tenant:
        """Who asks for something that is kept for them."""
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            return record.auth(await self.auth.identify(ingress.credential, policy.tenants, peer=ingress.peer))

    async def models(self, ingress: Asked) -> list[str]:
        """The names the caller may ask for."""
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            tenant = record.auth(await self.auth.identify(ingress.credential, policy.tenants))
            return plan.visible(tenant, policy.routes)

    async def check_model(self, ingress: Asked, name: str) -> None:
        """Raises NotFound unless the caller may ask for this model."""
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            tenant = record.auth(await self.auth.identify(ingress.credential, policy.tenants))
            plan.check(name, tenant, policy.routes)

    async def feedback(self, ingress: Verdict) -> bool:
        """Takes a caller's word on an answer it got: a bad one that was kept is given to nobody any more. Whether there was one.

        Raises NotFound for a call that is not the caller's own.
        """
        policy = self.policy.current
        with self.trace.record(ingress, policy.version, policy.trace) as record:
            tenant = record.auth(await self.auth.identify(ingress.credential, policy.tenants))
            said = record.feedback(ingress.read())
            call = await self.trace.find(said.request_id)
            if call is None or (call.get("org"), call.get("team")) != (tenant.org, tenant.team):
                raise NotFound("there is no such call of yours", code="call_not_found", param="request_id")
            self.template.judge(call, is_good=said.is_good)
            by_meaning, answer = call.get("cache_kind") == "semantic", call.get("cache_answer")
            return await self.cache.report(
                call.get("cache_entry"), is_good=said.is_good, by_meaning=by_meaning, answer=answer
            )
