"""Where the amounts of a call are held: in this worker's slices, in the ledger, or while that is away as far as is safe."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from gateway.budget.escrow import Escrow, Slice, line
from gateway.budget.limits import Account, Orphan
from gateway.budget.local import Demand, LocalLedger
from gateway.budget.teller import Teller, unavailable
from gateway.budget.windows import Span
from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import (
    Corrupt,
    Granted,
    Line,
    Outcome,
    Refused,
    Renew,
    Reserve,
    Settle,
    Stale,
)

LEASE = 30_000
"""Milliseconds for which the ledger keeps the reservation of a worker that is silent."""
TRIES = 4


@dataclass(slots=True)
class Part:
    """One account's part of a reservation. `slice` is where it is held, if it is held in this worker's memory."""

    account: Account
    span: Span
    amount: int
    slice: Slice | None = None
    is_local: bool = False
    observed: int = 0

    def observe(self, used: int) -> None:
        """Notes what has been used so far; what is settled if this worker dies is what the policy says of orphans."""
        match self.account.limit.orphan:
            case Orphan.OBSERVED:
                self.observed = min(used, self.amount)
            case Orphan.RESERVED:
                self.observed = self.amount
            case Orphan.RELEASE:
                self.observed = 0


@dataclass(slots=True)
class Reservation:
    """`left` tells, by account, what was left of it afterwards; `degraded` what was not asked of the ledger."""

    id: str
    parts: list[Part]
    is_direct: bool = False
    degraded: frozenset[str] = frozenset()
    left: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shortage:
    """An account that does not have what was asked: `fits_at` in the ledger's milliseconds, NEVER when nobody can say."""

    account: Account
    left: int
    fits_at: int
    needed: int = 0


class NotAffordable(Exception):
    """At least one account has too little. Nothing is held."""

    def __init__(self, shortages: Sequence[Shortage], now: int) -> None:
        super().__init__("too little is left")
        self.shortages = shortages
        self.now = now


Seen = Callable[[Account, Span, int], None]
"""Told of each account what it has spent, whenever the ledger says so."""


class Reserver:
    """`seen` hears what the ledger says of accounts. `escrow` None: every call is reserved in the ledger."""

    def __init__(self, teller: Teller, escrow: Escrow | None, local: LocalLedger, seen: Seen) -> None:
        self._teller = teller
        self._escrow = escrow
        self._local = local
        self._seen = seen
        token = secrets.token_hex(8)
        self._ids = (f"call:{token}:{number}" for number in count())
        self.direct: dict[str, Reservation] = {}

    def take(self, demands: Sequence[Demand], monotonic: float) -> Reservation | None:
        """Holds everything in slices, without waiting; or nothing, and None."""
        escrow = self._escrow
        if escrow is None:
            return None
        now = self._teller.now
        parts: list[Part] = []
        for account, amount in demands:
            slice = escrow.slice(account, now)
            if not slice.take(amount, monotonic):
                self._put_back(parts, demands, monotonic)
                return None
            parts.append(Part(account, slice.span, amount, slice, observed=account.assumed(amount)))
        return Reservation("", parts, degraded=_degraded(parts) if self._teller.is_away else frozenset())

    async def ask(self, demands: Sequence[Demand], monotonic: float) -> Reservation:
        """Holds what slices do not have, everything or nothing.

        Raises NotAffordable, or Overloaded when the ledger must be asked and is away.
        """
        try:
            return await self._from_ledger(demands)
        except Overloaded as error:
            if error.code == "budget_store_corrupt":
                raise
            return self._without_ledger(demands, monotonic)

    def settle(self, reservation: Reservation, used: Sequence[int]) -> None:
        """Ends it at what was used of each part, in their order. Never waits and never fails."""
        charged, locally = [], []
        for part, amount in zip(reservation.parts, used, strict=True):
            if part.slice is not None:
                part.slice.give_back(part.amount, amount)
            elif part.is_local:
                locally.append((part.account, amount))
            else:
                charged.append(line(part.account, part.span, amount))
                if self._escrow is not None:
                    self._escrow.note_spent(part.account, part.span, amount)
        self.direct.pop(reservation.id, None)
        if locally:
            self._local.settle(reservation.id, locally, self._teller.now)
        if charged:
            self._teller.tell(Settle(reservation.id, tuple(charged)))

    def renewals(self) -> list[Renew]:
        """What keeps the reservations in the ledger from running out."""
        return [Renew(each.id, LEASE, _lines(each.parts)) for each in self.direct.values()]

    def standing(self) -> list[Reserve]:
        return [Reserve(each.id, self._teller.owner, LEASE, _lines(each.parts)) for each in self.direct.values()]

    def settlements(self) -> list[Settle]:
        """What ends each reservation in the ledger at what has been observed, for a worker that dies."""
        return [
            Settle(each.id, tuple(line(part.account, part.span, part.observed) for part in each.parts))
            for each in self.direct.values()
        ]

    def _put_back(self, parts: Sequence[Part], demands: Sequence[Demand], monotonic: float) -> None:
        """Gives back what was taken of slices, one of which was too small, and notes what would have been enough."""
        assert self._escrow is not None
        for part in parts:
            assert part.slice is not None
            part.slice.give_back(part.amount, 0)
        for account, amount in demands:
            self._escrow.slice(account, self._teller.now).note_need(amount, monotonic)

    async def _from_ledger(self, demands: Sequence[Demand]) -> Reservation:
        shrunk = self._escrow is None
        for _ in range(TRIES):
            id = next(self._ids)
            now = self._teller.now
            parts = [
                Part(account, account.span(now), amount, observed=account.assumed(amount))
                for account, amount in demands
            ]
            outcome = await self._ask(id, parts)
            match outcome:
                case Granted():
                    return self._granted(id, parts, outcome)
                case Refused() if shrunk:
                    raise NotAffordable(_shortages(parts, outcome, self._teller.now), self._teller.now)
                case Refused():
                    shrunk = await self._give_back(demands)
                case Corrupt():
                    message = "The accounts of this budget cannot be read; an operator has to mend them."
                    raise Overloaded(message, code="budget_store_corrupt", should_retry=False)
                case Stale():
                    continue
        raise unavailable()

    async def _ask(self, id: str, parts: list[Part]) -> Outcome:
        try:
            return await self._teller.ask(Reserve(id, self._teller.owner, LEASE, _lines(parts)))
        except (Overloaded, asyncio.CancelledError):  # it may have been granted all the same
            self._teller.tell(Settle(id, tuple(line(part.account, part.span, 0) for part in parts)))
            raise

    async def _give_back(self, demands: Sequence[Demand]) -> bool:
        """Gives to the ledger what our own slices hold and nobody uses, which may be just what is missing."""
        assert self._escrow is not None
        await self._escrow.refresh(
            [self._escrow.slice(account, self._teller.now) for account, _ in demands], shrink=True
        )
        return True

    def _granted(self, id: str, parts: list[Part], outcome: Granted) -> Reservation:
        reservation = Reservation(id, parts, is_direct=True)
        for part, spent, held in zip(parts, outcome.spent, outcome.held, strict=True):
            reservation.left[part.account.name] = max(0, part.account.limit.amount - spent - held)
            self._seen(part.account, part.span, spent)
            self._let_slice_hear(part, spent=spent, held=held - part.amount)  # this call's own hold does not last
        self.direct[id] = reservation
        return reservation

    def _let_slice_hear(self, part: Part, *, spent: int, held: int) -> None:
        """Lets the slice know how its account stands before it is drawn for the first time."""
        if self._escrow is not None:
            slice = self._escrow.slice(part.account, self._teller.now)
            if slice.span == part.span and not slice.in_flight:
                slice.hear(spent=spent, held=held)

    def _without_ledger(self, demands: Sequence[Demand], monotonic: float) -> Reservation:
        """Hard budgets from slices alone, rates by this worker's own count, soft budgets as they come."""
        id = next(self._ids)
        parts: list[Part] = []
        try:
            for account, amount in demands:
                parts.append(self._part_without_ledger(account, amount, monotonic))
            self._count_locally(id, parts)
        except (Overloaded, NotAffordable):
            for part in parts:
                if part.slice is not None:
                    part.slice.give_back(part.amount, 0)
            raise
        return Reservation(id, parts, degraded=_degraded(parts))

    def _part_without_ledger(self, account: Account, amount: int, monotonic: float) -> Part:
        now = self._teller.now
        slice = None if self._escrow is None else self._escrow.slice(account, now)
        if slice is not None and slice.take(amount, monotonic):
            return Part(account, slice.span, amount, slice, observed=account.assumed(amount))
        if account.limit.hard and not account.is_rate:
            raise unavailable()
        return Part(account, account.span(now), amount, is_local=account.is_rate)

    def _count_locally(self, id: str, parts: Sequence[Part]) -> None:
        rates = [part for part in parts if part.is_local]
        if rates:
            demanded = [(part.account, part.amount) for part in rates]
            refused = self._local.reserve(id, demanded, self._teller.now)
            if refused is not None:
                raise NotAffordable(_shortages(rates, refused, self._teller.now), self._teller.now)


def _degraded(parts: Sequence[Part]) -> frozenset[str]:
    """What was not checked: soft budgets, whose slices hold whatever is asked, and what is held in no slice."""
    unchecked = [part for part in parts if part.slice is None or not part.account.limit.hard]
    return frozenset("ratelimit" if part.is_local else "budget" for part in unchecked)


def _lines(parts: Sequence[Part]) -> tuple[Line, ...]:
    return tuple(line(part.account, part.span, part.amount, observed=part.observed) for part in parts)


def _shortages(parts: Sequence[Part], refused: Refused, now: int) -> list[Shortage]:
    return [
        Shortage(part.account, left, fits_at, part.amount)
        for part, left, fits_at in zip(parts, refused.left, refused.fits_at, strict=True)
        if part.account.limit.hard and left < part.amount
    ]
