"""What a call would hold by the books as they stand, said by the code that holds it. Nothing is held, and nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.budget.hold import Hold
from gateway.budget.limits import Account, Limits
from gateway.budget.local import LocalLedger
from gateway.budget.needs import Estimates
from gateway.budget.purse import Bill
from gateway.budget.reserve import Reserver
from gateway.budget.teller import Teller
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.ledger.operations import (
    NEVER,
    Applied,
    Balance,
    Granted,
    Line,
    Operation,
    Outcome,
    Refused,
    Reserve,
    Settled,
)
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Preview:
    """Tokens that are held for, `cap` written into the request (None: none), and what is held of each account."""

    sent: int
    made: int
    cap: int | None
    is_clamped: bool
    amounts: Mapping[Account, int]


async def preview(
    call: Call,
    tenant: Tenant,
    limits: Limits,
    *,
    model: Model,
    deployment: Deployment,
    estimates: Estimates,
    books: Books,
) -> Preview:
    """Raises what the call itself would be refused with."""
    tasks = Tasks()
    clock = books.clock
    teller = Teller(books, "preview", note=lambda settled: None, tasks=tasks, clock=clock)
    reserver = Reserver(teller, None, LocalLedger(lambda: 1), lambda account, span, spent: None)
    hold = Hold(call, tenant, limits, reserver=reserver, estimates=estimates, joined=_Nobody(), clock=clock)
    try:
        cap = await hold.of(model).reserve(deployment)
    finally:
        await tasks.close()
    amounts = {part.account: part.amount for reservation in hold.reservations for part in reservation.parts}
    return Preview(*hold.tokens, cap, hold.is_clamped, amounts)


class Books:
    """teller.Ledger, by the balances of some moment: it says what the ledger would have said then."""

    def __init__(self, balances: Mapping[str, Balance], clock: Clock) -> None:
        self._balances = balances
        self.clock = clock

    async def apply(self, operations: Sequence[Operation]) -> Applied:
        return Applied(int(self.clock.now() * 1000), tuple(self._answer(each) for each in operations))

    async def balances(self) -> Sequence[Balance]:
        return list(self._balances.values())

    async def announce(self, owner: str) -> None:
        """Nobody waits for whoever looks."""

    async def restore(self, owner: str, operations: Sequence[Operation], balances: Sequence[Balance]) -> bool:
        return True

    def left(self, line: Line) -> int:
        """What the account of the line may still hold."""
        spent, held = self._taken(line)
        return NEVER if line.limit is None else max(0, line.limit - spent - held)

    def _answer(self, operation: Operation) -> Outcome:
        if not isinstance(operation, Reserve):
            return Settled()
        left = tuple(self.left(line) for line in operation.lines)
        if any(line.amount > rest for line, rest in zip(operation.lines, left, strict=True)):
            return Refused(left, (NEVER,) * len(left))
        taken = [self._taken(line) for line in operation.lines]
        return Granted(tuple(spent for spent, _ in taken), tuple(held for _, held in taken))

    def _taken(self, line: Line) -> tuple[int, int]:
        balance = self._balances.get(line.account)
        return (0, 0) if balance is None else (balance.spent, balance.held)


class _Nobody:
    """hold.Joined for a call that is not made."""

    def enter(self, hold: Hold) -> None:
        """Nobody counts it."""

    def leave(self, hold: Hold, bill: Bill | None) -> None:
        """Nobody counts it."""
