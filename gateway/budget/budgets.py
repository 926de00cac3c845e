"""Budgets and rates of one worker: what calls hold, kept in step with the ledger that all workers share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from gateway.budget.alerts import Alerts
from gateway.budget.escrow import Escrow, account_name
from gateway.budget.hold import Hold
from gateway.budget.journal import Journal, left_behind
from gateway.budget.limits import Account, Limits
from gateway.budget.local import LocalLedger
from gateway.budget.needs import Estimates
from gateway.budget.purse import Bill
from gateway.budget.reserve import Reserver
from gateway.budget.shares import Shares
from gateway.budget.teller import REPLAYED, Teller
from gateway.budget.windows import Span
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import Balance, Once, Operation, Settle, Settled, Sweep
from gateway.core.money import usd
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant

OBSERVED = 1.0
"""Seconds between two looks at what running calls have used."""
RENEWED = 10.0
SWEPT = 5.0
CLOSING = 3.0

log = logging.getLogger("llmgw.budget")


@dataclass(slots=True)
class Tally:
    """What this worker has seen of a tenant: `spent` in nano-USD, `open` calls under way, `unpriced` calls without a cost."""

    spent: int = 0
    calls: int = 0
    open: int = 0
    unpriced: int = 0


class Budgets:
    """Start `run` as a task, and `close` after it was cancelled. `notify` sends a warning to whoever wants it."""

    def __init__(
        self,
        teller: Teller,
        *,
        escrow: bool,
        estimates: Estimates,
        workers: Callable[[], int],
        notify: Callable[[Mapping[str, object]], None],
        tasks: Tasks,
        clock: Clock,
        journal: Journal,
    ) -> None:
        self._teller = teller
        self._estimates = estimates
        self._notify = notify
        self._tasks = tasks
        self._clock = clock
        self._journal = journal
        self._alerts = Alerts(self._tell)
        self.overdrafts = 0
        self.refused = 0
        self._shares = Shares(clock.monotonic, Random())
        self._open: set[Hold] = set()
        self._tallies: dict[str, Tally] = {}
        monotonic = clock.monotonic
        self._escrow = Escrow(teller, monotonic=monotonic, observed=self._observed, seen=self._seen) if escrow else None
        self._reserver = Reserver(teller, self._escrow, LocalLedger(workers), self._seen)
        teller.standing = self._standing
        teller.heard = journal.heard

    async def admit(self, tenant: Tenant) -> None:
        """Raises Overloaded when this worker has more to do than it can, and the tenant has had its share; see Shares."""
        await self._shares.admit(tenant.org)

    def hold(self, tenant: Tenant, call: Call, limits: Limits, estimates: Estimates | None = None) -> Hold:
        """A context manager for the time in which the call is answered; see Hold. `estimates`: where not the call's body says
        what it may use."""
        return Hold(
            call,
            tenant,
            limits,
            reserver=self._reserver,
            estimates=estimates or self._estimates,
            joined=self,
            clock=self._clock,
        )

    def tallies(self) -> Mapping[str, Tally]:
        """By tenant, what this worker has seen."""
        return self._tallies

    async def balances(self, limits: Limits) -> tuple[Sequence[Balance], Mapping[str, int]]:
        """How every account stands, this worker's latest calls included and the others' of a moment ago, and those of `limits`
        that nobody has touched; and the limits of those that are shared, by account. Raises Overloaded.
        """
        if self._escrow is not None:
            await self._escrow.refresh(self._escrow.all())
        await self._teller.told()
        found = {each.account: each for each in await self._teller.balances()}
        known = {}
        for account in limits.shared():
            span = account.span(self._teller.now)
            name = account_name(account, span)
            known[name] = account.limit.amount
            found.setdefault(name, balance(account, span, 0))
        return list(found.values()), known

    def held(self) -> Mapping[str, int]:
        """What calls of this worker hold now, by account."""
        found: dict[str, int] = {}
        for hold in self._open:
            for reservation in hold.reservations:
                for part in reservation.parts:
                    found[part.account.name] = found.get(part.account.name, 0) + part.amount
        return found

    @property
    def crossed(self) -> int:
        """Shares of budgets that this worker has seen spent."""
        return self._alerts.crossed

    def enter(self, hold: Hold) -> None:
        self._open.add(hold)
        name = hold.tenant.name
        tally = self._tallies.get(name)
        if tally is None:
            tally = self._tallies[name] = Tally()
        tally.open += 1

    def leave(self, hold: Hold, bill: Bill | None) -> None:
        self._open.discard(hold)
        tally = self._tallies[hold.tenant.name]
        tally.open -= 1
        tally.calls += 1
        self.refused += hold.is_refused
        if bill is not None:
            self._look_for_overdraft(hold, bill)
            tally.spent += bill.cost or 0
            tally.unpriced += bill.cost is None

    async def run(self, data_folder: Path) -> None:
        """Keeps everything in step until it is cancelled. `data_folder` is where workers that died left their journals."""
        loops = [self._teller.run(), self._journal.run(self._settlements), self._observe(), self._renew()]
        loops += [self._sweep(), self._take_over(data_folder), self._shares.run()]
        if self._escrow is not None:
            loops.append(self._escrow.run())
        await asyncio.gather(*loops)

    async def close(self) -> None:
        """Gives everything back, and waits a few seconds for the ledger to hear it."""
        if self._escrow is not None:
            self._escrow.close()
        await self._teller.close(CLOSING)
        if self._teller.untold:
            await self._journal.write(self._settlements)
        await self._journal.close(heard=not self._teller.untold)

    def _look_for_overdraft(self, hold: Hold, bill: Bill) -> None:
        """The ledger keeps the excess apart; here people are told whose it was."""
        if hold.is_capped and hold.reserved_usd is not None and (bill.cost or 0) > hold.reserved_usd:
            self.overdrafts += 1
            if self.overdrafts & (self.overdrafts - 1):  # the first, second, fourth, eighth …
                return
            found = {"request_id": hold.id, "reserved": usd(hold.reserved_usd), "cost": usd(bill.cost or 0)}
            log.error("a provider used more than its cap allows", extra=found)

    async def _observe(self) -> None:
        while True:
            await asyncio.sleep(OBSERVED)
            for hold in tuple(self._open):
                hold.observe()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWED)
            await self._ask_all(self._reserver.renewals())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEPT)
            await self._ask_all([Sweep()])

    async def _take_over(self, data_folder: Path) -> None:
        """Tells the ledger what workers that died had settled."""
        while True:
            for path, settled in left_behind(data_folder, self._teller.now - int(REPLAYED * 1000)):
                if await self._ask_all(settled):
                    with suppress(OSError):  # it will be found again, and told again, which changes nothing
                        path.unlink(missing_ok=True)
                    log.warning("a worker's journal was taken over", extra={"settled": len(settled)})
            await asyncio.sleep(SWEPT)

    async def _ask_all(self, operations: Sequence[Operation]) -> bool:
        """Whether the ledger has heard all of them."""
        answers = await asyncio.gather(*(self._teller.ask(each) for each in operations), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Overloaded):
                raise answer
        return not any(isinstance(answer, Overloaded) for answer in answers)

    def _standing(self, flushed: bool) -> Iterable[Operation]:
        if self._escrow is not None:
            yield from self._escrow.standing(flushed)
        yield from self._reserver.standing()

    def _settlements(self) -> Iterable[Settle]:
        yield from self._teller.unheard()
        if self._escrow is not None:
            yield from self._escrow.settlements()
        yield from self._reserver.settlements()

    def _observed(self) -> Mapping[str, int]:
        """What running calls have used of the slices, by their id: an account may have several."""
        found: dict[str, int] = {}
        for hold in self._open:
            for reservation in hold.reservations:
                for part in reservation.parts:
                    if part.slice is not None and part.observed:
                        id = part.slice.id
                        found[id] = found.get(id, 0) + part.observed
        return found

    def _seen(self, account: Account, span: Span, spent: int) -> None:
        self._alerts.look(account, span, spent, self._teller.now)
        self._teller.see(balance(account, span, spent))

    def _tell(self, id: str, message: Mapping[str, object]) -> None:
        self._tasks.start(self._tell_once(id, message), name="budget alert")

    async def _tell_once(self, id: str, message: Mapping[str, object]) -> None:
        try:
            is_first = isinstance(await self._teller.ask(Once(id)), Settled)
        except Overloaded:
            is_first = True
        if is_first:
            log.warning("a share of a budget has been spent", extra={"budget": dict(message)})
            self._notify(message)


def balance(account: Account, span: Span, spent: int) -> Balance:
    limit = account.limit.amount if account.limit.hard else None
    return Balance(account_name(account, span), limit, spent, 0, 0, 0, span.begin, span.end, span.bucket)
