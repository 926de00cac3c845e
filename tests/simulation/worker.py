"""One worker: the real budgets, over a link that may fail, in a process that may be stopped or killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.budget import journal
from gateway.budget.budgets import Budgets
from gateway.budget.escrow import TRUSTED
from gateway.budget.journal import Journal, open_journal
from gateway.budget.limits import Limits
from gateway.budget.teller import Teller
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.ledger.operations import LARGEST
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant
from gateway.store.redis.ledger import RedisLedger
from tests.simulation.calls import CallUnderWay
from tests.simulation.estimates import Bounds
from tests.simulation.invariants import Broken
from tests.simulation.loop import Agenda, WorkerLoop
from tests.simulation.network import Link, Network
from tests.simulation.oracle import Oracle, Toll


@dataclass(frozen=True, slots=True)
class Around:
    """What workers are in. `failed` hears what must not happen.

    `is_unheard` is asked of each id that a killed worker may have settled without hearing that it has: is that so?
    """

    agenda: Agenda
    network: Network
    oracle: Oracle
    workers: Callable[[], int]
    failed: Callable[[str], None]
    is_unheard: Callable[[str], bool]
    trace: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sliced:
    """What a worker believes of a slice: that `mine` is left of it, and how much it has used."""

    id: str
    mine: int
    used: int


class Worker:
    """`ahead` is seconds that its wall clock is ahead."""

    def __init__(self, around: Around, owner: str, folder: Path, *, escrow: bool) -> None:
        self.owner = owner
        self.ahead = 0.0
        self.is_closing = False
        self.is_closed = False
        self.attempts = 0
        self._around = around
        self._folder = folder
        self.loop = WorkerLoop(around.agenda, around.failed)
        self.link = Link(around.network, self.loop)
        self._running: dict[CallUnderWay, asyncio.Task[None]] = {}
        self._clock = Clock(self.loop.time, lambda: 1_800_000_000 + self.loop.time() + self.ahead)
        self._tasks = Tasks()
        self._journal: Journal = open_journal(folder, owner)
        self._bounds = Bounds(around.agenda.random)
        self._ledger = RedisLedger(self.link)
        self.teller = Teller(self._ledger, owner, note=self._journal.note, tasks=self._tasks, clock=self._clock)
        self.budgets = Budgets(
            self.teller,
            escrow=escrow,
            estimates=self._bounds,
            workers=around.workers,
            notify=lambda message: None,
            tasks=self._tasks,
            clock=self._clock,
            journal=self._journal,
        )
        self.loop.call_soon(lambda: self._tasks.start(self.budgets.run(folder), name="budgets"))

    @property
    def takes_calls(self) -> bool:
        return not (self.loop.is_dead or self.loop.is_stopped or self.is_closing)

    @property
    def epoch(self) -> str:
        """Of the ledger that it has last told what it knows."""
        return self._ledger._known.epoch

    def seen_at(self) -> Mapping[str, float]:
        """When it last saw what each account had spent."""
        return self.teller._seen_at

    def begin(self, call: Call, tenant: Tenant, limits: Limits) -> None:
        under_way = CallUnderWay(
            call, tenant, self.budgets, self._tasks, bounds=self._bounds, random=self._around.agenda.random
        )
        self.loop.call_soon(lambda: self._begin(under_way, limits))

    def cancel_one(self) -> None:
        """A client leaves."""
        running = list(self._running.values())
        if running:
            task = running[self._around.agenda.random.randrange(len(running))]
            self.loop.call_soon(task.cancel)

    def under_way(self) -> Iterator[Toll]:
        for call in self._running:
            yield call.under_way()

    def slices(self) -> Iterator[Sliced]:
        """The slices of hard limits that it would spend from now."""
        escrow = self.budgets._escrow
        if escrow is None or self.loop.is_dead:
            return
        for slice in escrow.all():
            if (
                slice.account.limit.hard
                and slice.was_drawn
                and slice.end
                and self.loop.time() - slice.drawn_at < TRUSTED
            ):
                yield Sliced(slice.id, slice._mine, slice.used)

    def kill(self) -> None:
        """As `kill -9`: what was not written is gone."""
        oracle = self._around.oracle
        oracle.killed(self.owner, self.loop.written, list(self.under_way()))
        for settle in journal._settlements(self._journal._path.read_bytes(), LARGEST).values():
            if self._around.is_unheard(settle.id):
                oracle.slack.update({line.account.rpartition("|")[0]: line.amount for line in settle.lines})
        self._journal._file.close()
        self.loop.kill()

    def close(self) -> None:
        """As SIGTERM."""
        self.is_closing = True
        self.loop.call_soon(lambda: self._tasks.start(self._close(), name="close"))

    async def _close(self) -> None:
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self.budgets.close()
        self.is_closed = True

    def _begin(self, call: CallUnderWay, limits: Limits) -> None:
        self._running[call] = self._tasks.start(self._run(call, limits), name="call")

    async def _run(self, call: CallUnderWay, limits: Limits) -> None:
        try:
            await call.run(limits)
        except Broken as error:
            self._around.failed(str(error))
        finally:
            self._ended(call)

    def _ended(self, call: CallUnderWay) -> None:
        del self._running[call]
        self.attempts += call.attempts
        if call.toll is not None and not self.loop.is_dead:
            self._around.oracle.ended(self.owner, replace(call.toll, at=self.loop.time()))
            self._around.trace(f"{self.owner} ended {call.name}: {call.refused or 'served'} {dict(call.toll.used)}")
