"""What calls have really used: known here from the provider's side, and told to nobody.

`lower` and `upper` are what the accounts may come to. They are the same but for what a worker had used that was killed:
what had ended before its last write to the disk is counted; of what came after, and of calls under way, anything between
nothing and what they had used, or held (where the policy charges orphans so).
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

RECENT = 500.0
"""Seconds for which each ended call is remembered by itself."""


@dataclass(frozen=True, slots=True)
class Toll:
    """What one call has used when it ended, and the most that it held, by account without its window."""

    at: float
    used: Counter[str]
    held: Counter[str]


@dataclass(slots=True)
class Worker:
    used: Counter[str] = field(default_factory=Counter)
    recent: deque[Toll] = field(default_factory=deque)


class Oracle:
    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self.slack: Counter[str] = Counter()
        """What may be counted besides."""
        self.excess: Counter[str] = Counter()
        """What was used above what had been held."""
        self.was_flushed = False
        self.calls = 0

    @property
    def lower(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for worker in self._workers.values():
            total.update(worker.used)
        return total

    @property
    def upper(self) -> Counter[str]:
        return self.lower + self.slack

    def ended(self, owner: str, toll: Toll) -> None:
        self.calls += 1
        worker = self._workers.setdefault(owner, Worker())
        worker.used.update(toll.used)
        worker.recent.append(toll)
        while worker.recent[0].at < toll.at - RECENT:
            worker.recent.popleft()
        for name, used in toll.used.items():
            self.excess[name] += max(0, used - toll.held[name])

    def killed(self, owner: str, written: float, under_way: Iterable[Toll]) -> None:
        """`written`: when the last write to its disk was begun."""
        worker = self._workers.setdefault(owner, Worker())
        while worker.recent and worker.recent[-1].at >= written:
            toll = worker.recent.pop()
            worker.used.subtract(toll.used)
            self.slack.update(toll.used | toll.held)
        for toll in under_way:
            self.slack.update(toll.used | toll.held)

    def doubt(self, owners: Iterable[str]) -> None:
        """The ledger has lost its last moments about the time when these workers went: nobody may know what they did then."""
        for owner in owners:
            worker = self._workers.setdefault(owner, Worker())
            for toll in worker.recent:
                worker.used.subtract(toll.used)
                self.slack.update(toll.used | toll.held)
            worker.recent.clear()

    def forgotten(self, owner: str, *, until: float = math.inf, seen: Collection[str] = ()) -> None:
        """What this worker did `until` then is lost, but in accounts that others have `seen` since: the ledger lost it, and
        the worker was gone before it could tell, or told it to a ledger that was lost as well."""
        worker = self._workers.setdefault(owner, Worker())
        lost = Counter({name: used for name, used in worker.used.items() if name not in seen})
        for index, toll in enumerate(worker.recent):
            kept = (
                toll.used if toll.at > until else Counter({name: toll.used[name] for name in toll.used if name in seen})
            )
            lost.subtract({name: used for name, used in kept.items() if name not in seen})
            worker.recent[index] = Toll(toll.at, kept, toll.used | toll.held)
        self.slack.update(lost)
        worker.used.subtract(lost)

    def flushed(self, alive: Iterable[str], under_way: Iterable[Toll]) -> None:
        """Everything is lost but what the workers that live know. They may count again what they did lately."""
        self.was_flushed = True
        known = set(alive)
        for owner, worker in self._workers.items():
            for toll in worker.recent:
                self.slack.update(toll.used | toll.held)
            if owner not in known:
                self.forgotten(owner)
        for toll in under_way:
            self.slack.update(toll.held)
