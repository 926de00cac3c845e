"""What a worker tells of its calls: records, metrics and traces, opened and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.budget.budgets import Budgets
from gateway.cache.semantic.asked import Meanings
from gateway.core.clock import Clock
from gateway.policy.current import Current
from gateway.policy.names import known
from gateway.readings import Kept, Parts, RolledOut, Shown
from gateway.route.router import Router
from gateway.settings import Settings
from gateway.store.contract import CacheStore, CallStream
from gateway.template.rollout.rollouts import Rollouts
from gateway.trace.journal import Journal, Observe, open_journal
from gateway.trace.metrics.metrics import Metrics
from gateway.trace.metrics.observe import Observer
from gateway.trace.metrics.push import Push, open_push
from gateway.trace.metrics.shared import Share
from gateway.trace.sampling import Sampler, sampler_of
from gateway.trace.sharing import Sharing
from gateway.trace.spans.tracer import Tracer, open_tracer
from gateway.upstream.health import Health

LAST_SPANS = 3.0
"""Seconds that a worker which ends waits for its last spans to be sent."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Worker `number`, which no other process is called as (`instance`). `shared` is where it tells the others its metrics, None
    if there are none; `records_to` the descriptor that gets a line for each call."""

    number: int
    instance: str
    shared: Path | None
    records_to: int | None


@dataclass(slots=True)
class Telemetry:
    policy: Current
    clock: Clock
    worker: Worker
    observer: Observer
    metrics: Metrics
    journal: Journal
    sampler: Sampler
    push: Push | None
    tracer: Tracer | None
    sharing: Sharing | None

    def ask(
        self,
        health: Health,
        budgets: Budgets,
        refused: Mapping[str, int],
        *,
        cache: CacheStore,
        meanings: Meanings,
        route: Router,
        rollouts: Rollouts,
    ) -> None:
        """Metrics will have what these say, too; `refused` are requests that became no call, by error code.

        Budgets, certificates and what is kept are one worker's to tell: all workers would tell the same.
        """
        told = (self.journal, health, budgets, refused, meanings, route.beside, self.clock)
        parts = Parts(self.policy, self.observer, *told, self.push, self.tracer, self.sharing)
        self.metrics.asked.append(parts.readings)
        if self.worker.number == 0:
            self.metrics.asked_store += (
                parts.remaining,
                Kept(cache, self.clock).readings,
                Shown(route.certificates).readings,
                RolledOut(rollouts).readings,
            )

    def loops(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """What has to run, by name."""
        loops = {"journal": self.journal.run(), "metrics": self.metrics.run()}
        if self.push is not None:
            loops["push"] = self.push.run()
        if self.sharing is not None:
            loops["sharing"] = self.sharing.run()
        return loops


@asynccontextmanager
async def open_telemetry(
    settings: Settings,
    policy: Current,
    worker: Worker,
    shared_calls: CallStream | None,
    clock: Clock,
    *,
    also: Sequence[Observe] = (),
) -> AsyncIterator[Telemetry]:
    """`shared_calls` is where replicas show each other their records; `also` see each row.

    Leaving the block writes and pushes what is left; the loops must have ended.
    """
    observer = Observer(lambda: policy.current, lambda: known(policy.current))
    metrics = Metrics(observer, None if worker.shared is None else Share(worker.shared, worker.number), clock)
    push = await open_push(settings.environment, worker.instance, metrics.gathered, clock)
    sampler = sampler_of(settings.environment)
    tracer = open_tracer(settings.environment, worker.instance, keeps_failures=sampler.bound > 0)
    observers = [observer.observe, *also, *([] if tracer is None else [tracer.see])]
    journal = open_journal(
        settings.data, stdout=worker.records_to, retention=settings.records, clock=clock, observers=observers
    )
    sharing = None
    if worker.number == 0 and shared_calls is not None and settings.shared_records:
        sharing = Sharing(settings.data, shared_calls, keep=settings.shared_records, clock=clock)
    try:
        yield Telemetry(policy, clock, worker, observer, metrics, journal, sampler, push, tracer, sharing)
    finally:
        await journal.close()
        if tracer is not None:
            await asyncio.to_thread(tracer.close, LAST_SPANS)
        metrics.asked_store.clear()
        await metrics.tell()
        if push is not None:
            await push.close()
