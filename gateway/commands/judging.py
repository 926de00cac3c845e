"""Judges of a policy's tests, asked over the gateway's own upstream, with the keys of the environment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random, SystemRandom

import orjson

from gateway.core.attempt import Attempts
from gateway.core.bill import Bill
from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.errors import Broken
from gateway.core.span import SpanContext
from gateway.core.tasks import Tasks
from gateway.meter.bill import Meter
from gateway.meter.tokens import Tokens
from gateway.policy.judging import Reply
from gateway.route import plan
from gateway.route.quality.answer import read
from gateway.upstream.bridge.exchange import Bridge
from gateway.upstream.demo import Demo
from gateway.upstream.dialects import DIALECTS
from gateway.upstream.health import Health
from gateway.upstream.open import Upstream
from gateway.upstream.pool import Pool


@dataclass(frozen=True, slots=True)
class Providers:
    """Implements policy.judging.Asks: each question is a call by itself, outside any budget."""

    clock: Clock = field(default_factory=Clock)
    random: Random = field(default_factory=SystemRandom)
    tokens: Tokens = field(default_factory=Tokens)

    def ask(self, model: Model, prompt: str) -> Reply:
        return asyncio.run(self._ask(model, prompt))

    async def _ask(self, model: Model, prompt: str) -> Reply:
        tasks, pool = Tasks(), Pool()
        try:
            return await self._answered(model, prompt, tasks, pool)
        finally:
            pool.close()
            await tasks.close()

    async def _answered(self, model: Model, prompt: str, tasks: Tasks, pool: Pool) -> Reply:
        bridge, meter = Bridge(tasks), Meter(self.tokens, tasks)
        tasks.start(pool.sweep(), name="upstream deadlines")
        tasks.start(bridge.run(tuple), name="litellm")
        upstream = Upstream(
            wires={**dict.fromkeys(DIALECTS, pool), "demo": Demo(), "litellm": bridge},
            health=Health(self.clock, _tell_nobody),
            clock=self.clock,
            random=self.random,
            tasks=tasks,
        )
        call = _call(model, prompt, self.clock)
        attempts = Attempts(SpanContext(self.random.getrandbits(128) or 1, self.random.getrandbits(64) or 1, False))
        asking = upstream.asking(call, attempts, _Unbudgeted(), model, meter=meter, hedge=None)
        async with asking.open(plan.order(model, self.random, call)) as answer:
            chunks = [chunk async for chunk in answer.chunks()]
            answer.close()
            bill = await meter.bill(call, answer)
        try:
            text = read(orjson.loads(b"".join(chunks))).text
        except orjson.JSONDecodeError:
            raise Broken("the judge's answer is no JSON") from None
        return Reply(text, bill.cost)


def _call(model: Model, prompt: str, clock: Clock) -> Call:
    fields = {"model": model.name, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
    return Call(
        id="judge",
        operation=Operation.CHAT,
        received=clock.monotonic(),
        model=model.name,
        body=orjson.dumps(fields),
        fields=fields,
        is_own=True,
    )


def _tell_nobody(deployment: str, until: float, reason: str) -> None:
    """No other worker is there."""


class _Unbudgeted:
    """Implements upstream.asking.Hold and upstream.asked.Purse: whoever runs the tests pays."""

    @property
    def own(self) -> _Unbudgeted:
        return self

    def of(self, model: Model) -> None: ...

    def beside(self, model: Model, *, is_needed: bool) -> _Unbudgeted:
        return self

    async def admit(self) -> None: ...

    async def reserve(self, deployment: Deployment) -> int | None:
        return None

    def settle(self, bill: Bill) -> None: ...

    def release(self) -> None: ...

    def serve(self) -> None: ...
