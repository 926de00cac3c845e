"""Workers over one ledger in memory: the real rules, a clock that is set, and a store that can be away or lose its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.budget.escrow import Escrow
from gateway.budget.limits import Account, Kind, Limit, Unit, account
from gateway.budget.local import LocalLedger
from gateway.budget.reserve import Reservation, Reserver
from gateway.budget.teller import Teller
from gateway.budget.windows import Calendar, Forever, Period, Rolling, Span, Window
from gateway.core.clock import Clock
from gateway.core.ledger import account as accounts
from gateway.core.ledger import book
from gateway.core.ledger.operations import Applied, Balance, Operation, Rebuilding, Settle
from gateway.core.tasks import Tasks
from gateway.store.contract import away
from tests.core.ledger.tables import DictTables

NOON = 1_799_928_000.0
"""2027-01-14 12:00 UTC."""


@dataclass
class Time:
    seconds: float = NOON

    def passes(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.seconds, now=lambda: self.seconds)

    @property
    def milliseconds(self) -> int:
        return int(self.seconds * 1000)


class BookLedger:
    """teller.Ledger. `batches` is what was sent, whether or not it was heard; `gate` holds every answer up."""

    def __init__(self, time: Time) -> None:
        self.tables = DictTables()
        self.is_away = False
        self.loses_answers = False
        self.rebuilding: Rebuilding | None = None
        self.whole_after = 1
        self.batches: list[Sequence[Operation]] = []
        self.restored: list[tuple[Sequence[Operation], Sequence[Balance]]] = []
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._time = time
        self._at_once = 0
        self._happened = asyncio.Event()

    async def apply(self, operations: Sequence[Operation]) -> Applied:
        self.batches.append(tuple(operations))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self._happened.set()
        try:
            await self.gate.wait()
        finally:
            self._at_once -= 1
        if self.is_away:
            raise away()
        if self.rebuilding is not None:
            raise self.rebuilding
        now = self._time.milliseconds
        outcomes = tuple(book.apply(self.tables, each, now=now, lease_now=now) for each in operations)
        self._happened.set()
        if self.loses_answers:
            raise away()
        return Applied(now, outcomes)

    async def balances(self) -> Sequence[Balance]:
        return self.tables.balances(self._time.milliseconds)

    async def announce(self, owner: str) -> None:
        if self.is_away:
            raise away()
        if self.rebuilding is not None:
            raise self.rebuilding

    async def restore(self, owner: str, operations: Sequence[Operation], balances: Sequence[Balance]) -> bool:
        self.restored.append((tuple(operations), tuple(balances)))
        self._happened.set()
        if len(self.restored) < self.whole_after:
            return False
        self.rebuilding = None
        return True

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits for something to hold that the next operations bring about."""
        async with asyncio.timeout(10):
            while not holds():
                self._happened.clear()
                await self._happened.wait()

    def balance(self, account: Account, *, at: float | None = None) -> Balance:
        """How the account stands in the window of now, or of another moment."""
        moment = self._time.milliseconds if at is None else int(at * 1000)
        name = f"{account.name}|{account.limit.window.span(moment).id}"
        row = self.tables.accounts.get(name)
        found = row or accounts.Account()
        return found.balance(name, self._time.milliseconds)

    def lose_everything(self) -> None:
        self.tables = DictTables()


class Worker:
    """What one worker has between its calls and the ledger. `observed` is what running calls have used of its slices, by id."""

    def __init__(
        self, ledger: BookLedger, time: Time, *, name: str = "w1", escrow: bool = True, workers: int = 1
    ) -> None:
        self.time = time
        self.tasks = Tasks()
        self.noted: list[Settle] = []
        self.seen: list[tuple[str, int]] = []
        self.observed: dict[str, int] = {}
        self.teller = Teller(ledger, name, note=self.noted.append, tasks=self.tasks, clock=time.clock)
        self.escrow = Escrow(
            self.teller, monotonic=time.clock.monotonic, observed=lambda: self.observed, seen=self._see
        )
        self.reserver = Reserver(self.teller, self.escrow if escrow else None, LocalLedger(lambda: workers), self._see)
        self.teller.standing = self._standing

    async def reserve(self, *demands: tuple[Account, int]) -> Reservation:
        return self.reserver.take(demands, self.time.seconds) or await self.reserver.ask(demands, self.time.seconds)

    async def call(self, account: Account, amount: int, *, used: int) -> Reservation:
        """A whole call: what it may use is held, and what it did use is settled and told."""
        reservation = await self.reserve((account, amount))
        self.reserver.settle(reservation, [used])
        await self.teller.told()
        return reservation

    async def beat(self) -> None:
        """One round of what the worker does ten times a second."""
        await self.escrow.refresh(self.escrow.all())
        await self.teller.told()

    def _standing(self, flushed: bool) -> Iterable[Operation]:
        yield from self.escrow.standing(flushed)
        yield from self.reserver.standing()

    def _see(self, account: Account, span: Span, spent: int) -> None:
        self.seen.append((account.name, spent))


DAY = Calendar(Period.DAY)


def budget(amount: int, *, unit: Unit = Unit.TOKENS, window: Window = DAY, hard: bool = True) -> Account:
    return account("org", "acme", Limit(unit, amount, window, hard=hard))


def rate(amount: int, *, unit: Unit = Unit.REQUESTS, seconds: int = 60) -> Account:
    window = Forever() if unit is Unit.CALLS else Rolling(seconds)
    return account("org", "acme", Limit(unit, amount, window, Kind.RATE, warn=()))
