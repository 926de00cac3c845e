"""A seed's world: workers that are called, and what goes wrong meanwhile; in the end it heals, and everything must add up."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.simulation.estimates import random_call
from tests.simulation.invariants import Broken, Invariants
from tests.simulation.ledger import Shared
from tests.simulation.loop import Agenda
from tests.simulation.network import Network, Weather
from tests.simulation.oracle import Oracle
from tests.simulation.policy import TENANTS, Policy
from tests.simulation.settlement import check_healed
from tests.simulation.worker import Around, Worker

HEALED = 90.0
"""Seconds after the last call within which everything has come to the ledger."""
SWEPT = 30.0
"""Seconds within which everything whose lease has run out is swept."""
REMEMBERED = 400
"""Events of the trace."""
EPOCH = 1_800_000_000
LATE = 10_000
"""Milliseconds after its lease in which a reservation is swept."""
HOUR = 3600.0
SLICES_CHECKED = 0.02
"""Share of the steps after which slices are looked at."""
FEWEST = 3
"""Faults of a world, at least."""
ANSWERED = 1.0
"""Seconds after which an answer is not awaited any more."""
NEAR = 450.0
"""Seconds within which a journal that was left behind is told to the ledger, and told again if it loses that."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happened in one world."""

    seed: int
    faults: tuple[str, ...]
    seconds: float
    operations: int
    calls: int
    attempts: int
    seen: Counter[str] = field(default_factory=Counter)


class World:
    """`folder` is where journals are written. `faults`: what may go wrong; the seed says it if nobody does."""

    def __init__(self, seed: int, folder: Path, faults: Sequence[str] = ()) -> None:
        self.seed = seed
        self._folder = folder
        self.random = random = Random(seed)
        self.agenda = Agenda(random)
        self.events: deque[tuple[float, str]] = deque(maxlen=REMEMBERED)
        self._ahead = 0.0
        self._leases_by_wall = random.random() < 0.5
        self.shared = Shared(lambda: self.agenda.time, self._wall, self._lease)
        self.policy = Policy(random)
        self.oracle = Oracle()
        self.invariants = Invariants(self.shared.rows, self.policy, self.oracle.excess, self.trace)
        self.shared.watch = self.invariants
        self.network = Network(self.agenda, self.shared, Weather())
        self._around = Around(
            agenda=self.agenda,
            network=self.network,
            oracle=self.oracle,
            workers=lambda: 3,
            failed=self.fail,
            is_unheard=self._is_unheard,
            trace=self.trace,
        )
        self._escrow = random.random() < 0.8
        self._share_a_disk = random.random() < 0.5
        self._rate = random.choice((1, 3, 8, 20))  # calls a second
        self._calm = random.choice((4.0, 10.0, 20.0))  # seconds between faults, on average
        self._count = 0
        self._failure: str | None = None
        self._quiet_since = 0.0
        self._failed_over = self._flushed_at = -HOUR
        self._ended: dict[str, float] = {}
        self.faults = tuple(faults) or _chosen(random)
        self._is_gentle = LASTING.isdisjoint(self.faults)
        self.happened: Counter[str] = Counter()
        self.attempts = 0
        self.workers = [self._started(slot) for slot in range(random.randint(2, 5))]

    def run(self, operations: int) -> Story:
        """Raises Broken."""
        self._weather()
        self._arrivals()
        self._next_fault()
        self._look()
        while self.invariants.operations < operations or self.happened.total() < FEWEST:
            self._step()
        self._heal()
        self._pass(lambda: not any(list(worker.under_way()) for worker in self.workers), 400.0)
        self._pass(lambda: False, HEALED)
        if "clock" in self.faults:
            self._ahead = HOUR  # a lease that was given by a clock that was ahead ends, too
            self._pass(lambda: False, SWEPT)
        self.invariants.check_held()
        check_healed(self)
        for worker in self.workers:
            worker.close()
        self._pass(lambda: all(worker.is_closed for worker in self.workers), 30.0)
        self._pass(lambda: False, 1.0)
        self._check_closed()
        seen = self.invariants.seen + self.happened
        attempts = self.attempts + sum(worker.attempts for worker in self.workers)
        for worker in self.workers:
            worker.loop.kill()
        return Story(
            self.seed,
            self.faults,
            self.agenda.time,
            self.invariants.operations,
            self.oracle.calls,
            attempts,
            seen,
        )

    def trace(self, text: str) -> None:
        self.events.append((self.agenda.time, text))

    def fail(self, text: str) -> None:
        self._failure = self._failure or text

    def _is_unheard(self, id: str) -> bool:
        """The ledger forgets that it has settled it after three minutes; whoever reads the journal later charges it again."""
        if id in self.shared.rows.open:
            return False
        self.invariants.may_come_again.add(id)
        return True

    def _step(self) -> None:
        self.agenda.step()
        if self._is_gentle and self.agenda.random.random() < SLICES_CHECKED:
            self._check_slices()
        if self._failure is not None:
            raise Broken(self._failure)

    def _pass(self, until: Callable[[], bool], seconds: float) -> None:
        end = self.agenda.time + seconds
        while self.agenda.time < end and not until():
            self._step()

    def _wall(self) -> int:
        return int((EPOCH + self.agenda.time + self._ahead) * 1000)

    def _lease(self) -> int:
        return self._wall() if self._leases_by_wall else int(self.agenda.time * 1000) + 10_000_000

    def _started(self, slot: int) -> Worker:
        self._count += 1
        folder = self._folder if self._share_a_disk else self._folder / f"disk {slot}"
        self.trace(f"worker {slot}.{self._count} starts")
        return Worker(self._around, f"worker {slot}.{self._count}", folder, escrow=self._escrow)

    def _arrivals(self) -> None:
        if self.is_healed:
            return
        worker = self.random.choice(self.workers)
        if worker.takes_calls:
            self._count += 1
            worker.begin(random_call(self.random, self._count), self.random.choice(TENANTS), self.policy.limits)
        if self.random.random() < 0.1:
            self.random.choice(self.workers).cancel_one()
        self.agenda.after(self.random.expovariate(self._rate), self._arrivals)

    is_healed = False

    def _weather(self) -> None:
        """How messages fare for the next while."""
        if self.is_healed or "messages" not in self.faults:
            self.network.weather = Weather()
            return
        share = self.random.choice((0.0, 0.0, 0.01, 0.1))
        self.network.weather = Weather(
            lost=share,
            unanswered=self.random.choice((0.0, share)),
            slow=self.random.choice((0.0, 0.02, 0.2)),
            late=self.random.choice((0.05, 0.5, 5.0)),
        )
        self.agenda.after(self.random.expovariate(1 / 20), self._weather)

    def _next_fault(self) -> None:
        if self.is_healed:
            return
        if self.faults and self.agenda.time:
            kind = self.random.choice(self.faults)
            self.happened[kind] += 1
            self._faults()[kind]()
        self.agenda.after(self.random.expovariate(1 / self._calm), self._next_fault)

    def _faults(self) -> Mapping[str, Callable[[], None]]:
        return {
            "messages": self._part,
            "away": self._go_away,
            "kill": self._kill,
            "drain": self._drain,
            "suspend": self._suspend,
            "clock": self._set_clock,
            "failover": self._fail_over,
            "flush": self._flush,
            "policy": self._change_policy,
        }

    def _part(self) -> None:
        worker = self.random.choice(self.workers)
        seconds = self.random.choice((0.2, 1, 3, 20, 100))
        self.trace(f"{worker.owner} is cut off for {seconds} s")
        worker.link.cut_until = self.agenda.time + seconds

    def _go_away(self) -> None:
        seconds = self.random.choice((0.05, 0.3, 1, 1, 1, 5, 10, 50))
        self.trace(f"the ledger is away for {seconds} s")
        self.network.away_until = self.agenda.time + seconds

    def _kill(self) -> None:
        slot = self.random.randrange(len(self.workers))
        worker = self.workers[slot]
        if worker.loop.is_dead or worker.is_closed:
            return
        self.trace(f"{worker.owner} is killed; written {worker.loop.written}")
        self.attempts += worker.attempts
        worker.kill()
        self._note_end(worker)
        self.agenda.after(self.random.choice((0.1, 2, 40, 100, 300)), lambda: self._replace(slot, worker))

    def _drain(self) -> None:
        slot = self.random.randrange(len(self.workers))
        worker = self.workers[slot]
        if not worker.takes_calls:
            return
        self.trace(f"{worker.owner} is drained")
        worker.close()

        def closed() -> None:
            if worker.is_closed and self.workers[slot] is worker:
                self.attempts += worker.attempts
                worker.loop.kill()
                self._note_end(worker)
                self._replace(slot, worker)
            elif not worker.loop.is_dead:
                self.agenda.after(1.0, closed)

        self.agenda.after(1.0, closed)

    def _replace(self, slot: int, gone: Worker) -> None:
        if self.workers[slot] is gone:
            self.workers[slot] = self._started(slot)

    def _suspend(self) -> None:
        worker = self.random.choice(self.workers)
        seconds = self.random.choice((0.5, 0.5, 5, 15, 35, 60))
        self.trace(f"{worker.owner} is suspended for {seconds} s")
        worker.loop.stop_until(self.agenda.time + seconds)

    def _set_clock(self) -> None:
        """The ledger's or a worker's."""
        ahead = self.random.choice((-HOUR, 0.0, 0.0, HOUR, 45.0))
        if self.random.random() < 0.5:
            self.trace(f"the ledger's clock is {ahead} s ahead")
            self._ahead, self._quiet_since = ahead, self.agenda.time
            self.invariants.is_forgetful = True
            return
        worker = self.random.choice(self.workers)
        self.trace(f"the clock of {worker.owner} is {ahead} s ahead")
        worker.ahead = ahead

    def _fail_over(self) -> None:
        lost = self.random.choice((0, 1, 5, 40, 200))
        self.happened["requests lost"] += lost
        self._restart(f"the ledger is restarted without its last {lost} requests", lost)
        self._failed_over = self.agenda.time
        self._doubt()
        if self.shared.rows.meta.get("lost", "all") == "all":  # it knows no time before the flush, or its making
            self._note_flush()

    def _note_end(self, worker: Worker) -> None:
        self._ended[worker.owner] = self.agenda.time
        self._doubt()
        if self.oracle.was_flushed and not (self.shared.is_whole and worker.epoch == self.shared.rows.meta["epoch"]):
            self.oracle.forgotten(worker.owner)

    def _doubt(self) -> None:
        """A failover and the end of a worker so near each other that what the worker did may be lost."""
        now = self.agenda.time
        if now - self._failed_over < NEAR:
            self.oracle.doubt(owner for owner, ended in self._ended.items() if now - ended < NEAR)

    def _restart(self, text: str, lost: int) -> None:
        self._count += 1
        changes = self.shared.restart(f"run {self._count}", lost=lost)
        self._quiet_since = self.agenda.time
        self.trace(f"{text}, {changes} changes")

    def _flush(self) -> None:
        if self.random.random() < 0.5:
            self._restart("the ledger is restarted empty", 0)
        self._note_flush()
        self.shared.rows.clear()
        self._quiet_since = self.agenda.time
        self.trace("the ledger has lost everything")

    def _note_flush(self) -> None:
        alive = [worker for worker in self.workers if not (worker.loop.is_dead or worker.is_closed)]
        tolls = [toll for worker in alive for toll in worker.under_way()]
        was_flushed = self.oracle.was_flushed
        self.oracle.flushed([worker.owner for worker in alive], tolls)
        if was_flushed:
            self._forget_late_comers(alive)
        self.shared.joined_late.clear()
        self._flushed_at = self.agenda.time

    def _forget_late_comers(self, alive: Sequence[Worker]) -> None:
        """Who was not heard in time after the flush before: what it did until then may have been in no other's sums. Who had
        told it since has mended it, in the accounts that anybody has seen since."""
        epoch = self.shared.rows.meta.get("epoch")
        for worker in alive:
            joined = self.shared.joined_late.get(worker.owner)
            if worker.epoch != epoch:
                self.oracle.forgotten(worker.owner, until=self._flushed_at)
            elif joined is not None:
                self.oracle.forgotten(worker.owner, until=joined, seen=self._seen_since(joined, alive))

    def _seen_since(self, moment: float, alive: Sequence[Worker]) -> Collection[str]:
        """Accounts that somebody has seen since, in each of their windows."""
        seen = {name for worker in alive for name, at in worker.seen_at().items() if at > moment + ANSWERED}
        unseen = {name.rpartition("|")[0] for name in self.shared.rows.accounts if name not in seen}
        return {name.rpartition("|")[0] for name in seen} - unseen

    def _change_policy(self) -> None:
        self.trace(self.policy.change())

    def _check_slices(self) -> None:
        """I1 as workers see it: nobody spends from a slice what the ledger does not hold for it."""
        for worker in self.workers:
            for slice in worker.slices():
                opened = self.shared.rows.open.get(slice.id)
                part = None if opened is None else opened.parts[0]
                there = 0 if part is None else part.held + part.used - slice.used
                if slice.mine > max(0, there):
                    raise Broken(f"I1: {worker.owner} has {slice.mine} of {slice.id}, and the ledger {there}: {part}")

    def _look(self) -> None:
        """I9, once a second: while the ledger can be reached, no reservation is open long after its lease."""
        now = self.agenda.time
        if self.network.is_away or not self.shared.is_whole or not self._somebody_sweeps():
            self._quiet_since = now
        if now - self._quiet_since > 16:
            for id, opened in self.shared.rows.open.items():
                if opened.until < self._lease() - LATE:
                    raise Broken(
                        f"I9: {id} of {opened.owner} is open {self._lease() - opened.until} ms after its lease"
                    )
        self.agenda.after(1.0, self._look)

    def _somebody_sweeps(self) -> bool:
        """Whether a worker has been in touch with the ledger for so long that it must have swept."""
        return self.network.weather.lost < 0.05 and any(
            worker.takes_calls and max(worker.loop.running_since, worker.link.cut_until) < self.agenda.time - 6
            for worker in self.workers
        )

    def _heal(self) -> None:
        self.trace("everything heals")
        self.is_healed = True
        self.network.weather = Weather()
        self.network.away_until = 0.0
        for slot, worker in enumerate(self.workers):
            worker.link.cut_until = 0.0
            worker.loop.go_on()
            if worker.loop.is_dead or worker.is_closed:
                self._replace(slot, worker)

    def _check_closed(self) -> None:
        for worker in self.workers:
            if worker.teller.untold or not worker.is_closed:
                raise Broken(f"{worker.owner} has not told everything: {worker.teller.untold}")
        if self.shared.rows.open:
            raise Broken(f"still open after every worker has been closed: {list(self.shared.rows.open)}")


LASTING = {"suspend", "clock", "failover", "flush"}
"""Faults after which a worker may go on for a while with what the ledger does not hold for it any more."""
KINDS = ("messages", "away", "kill", "drain", "suspend", "clock", "failover", "flush", "policy")


def _chosen(random: Random) -> tuple[str, ...]:
    """Few kinds at a time: some invariants can be checked more sharply where others do not happen."""
    if random.random() < 0.15:
        return KINDS
    return tuple(sorted(random.sample(KINDS, random.randint(1, 4))))


def failures(fail: Callable[[str], None]) -> logging.Handler:
    """A task of a worker that fails has met with a bug."""

    class Failures(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            fail(f"{record.getMessage()}: {error!r}")

    return Failures(logging.ERROR)
