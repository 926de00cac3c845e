"""What a worker tells of its calls: records and metrics, opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.budget.budgets import Budgets
from gateway.core.clock import Clock
from gateway.policy.current import Current
from gateway.policy.names import known
from gateway.readings import Parts
from gateway.settings import Settings
from gateway.trace.active import ActiveCalls
from gateway.trace.journal import Journal, open_journal
from gateway.trace.metrics.metrics import Metrics
from gateway.trace.metrics.observe import Observer
from gateway.trace.metrics.push import Push, open_push
from gateway.trace.metrics.shared import Share
from gateway.upstream.health import Health


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
    active: ActiveCalls
    push: Push | None

    def ask(self, health: Health, budgets: Budgets) -> None:
        """Metrics will have what these say, too. Budgets are one worker's to tell: all workers would tell the same."""
        parts = Parts(self.policy, self.observer, self.active, self.journal, health, budgets, self.clock, self.push)
        self.metrics.asked.append(parts.readings)
        if self.worker.number == 0:
            self.metrics.asked_store.append(parts.remaining)

    def loops(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """What has to run, by name."""
        loops = {"journal": self.journal.run(), "metrics": self.metrics.run()}
        return loops if self.push is None else {**loops, "push": self.push.run()}


@asynccontextmanager
async def open_telemetry(settings: Settings, policy: Current, worker: Worker, clock: Clock) -> AsyncIterator[Telemetry]:
    """Leaving the block writes and pushes what is left; the loops must have ended."""
    observer = Observer(lambda: policy.current, lambda: known(policy.current))
    metrics = Metrics(observer, None if worker.shared is None else Share(worker.shared, worker.number), clock)
    push = await open_push(settings.environment, worker.instance, metrics.gathered, clock)
    journal = open_journal(settings.data, stdout=worker.records_to, clock=clock, observe=observer.observe)
    try:
        yield Telemetry(policy, clock, worker, observer, metrics, journal, ActiveCalls(journal.write), push)
    finally:
        await journal.close()
        metrics.asked_store.clear()
        await metrics.tell()
        if push is not None:
            await push.close()
