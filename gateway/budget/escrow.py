"""Slices of budgets that this worker holds and spends from in its own memory: no round trip, and no need of a store that is away.

A slice is a reservation like any other, so whatever workers do, slices and all that was settled stay below the limit. A
worker takes what its calls have lately needed, never more than a SHARE of what is left, and nothing once little is left:
there every call is reserved in the ledger itself, so that no budget ends early because somebody sits on the rest.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from gateway.budget.limits import Account
from gateway.budget.teller import Teller
from gateway.budget.windows import Span
from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import Draw, Granted, Line, Operation, Outcome, Settle, Stale

EVERY = 0.1
"""Seconds between two looks at what the slices need."""
LEASE = 33_000
"""Milliseconds for which the ledger keeps a slice whose worker is silent."""
RENEWED = 10.0
"""Seconds after which a slice is drawn again though nothing has changed."""
TRUSTED = 30.0
"""Seconds after its last renewal for which a slice is spent from: well within its lease, whatever the clocks say."""
CARRIED = 30.0
"""Seconds of spending that a slice is made for, so that calls go on while the ledger is away."""
BUSY = 20.0
"""Calls per second from which on a slice is made for what is to come."""
SHARE = 4
"""A worker takes at most one part in so many of what is left."""
SCARCE = 20
"""With less than one part in so many of the limit left, nobody takes a slice."""
IDLE = 2.0
"""Seconds after which what was not needed is given back."""


class Slice:
    """One account in one window. Amounts are in the account's unit; `used` counts from the slice's beginning.

    A Draw that was not answered may yet come to the ledger, after later ones, and leave it holding what that one asked for.
    So such a slice asks for no more than it has, and is replaced by another as soon as the ledger answers again.
    """

    __slots__ = (
        "_acknowledged",
        "_confirmed",
        "_is_doubted",
        "_is_hard",
        "_is_lost",
        "_missed",
        "_pace",
        "_paced_at",
        "_peak",
        "_takes",
        "account",
        "drawn_at",
        "end",
        "granted",
        "held",
        "held_by_all",
        "id",
        "in_flight",
        "needed_at",
        "span",
        "spent",
        "used",
        "was_drawn",
    )

    def __init__(self, account: Account, span: Span, *, now: float) -> None:
        self.id = _new_id()
        self.account = account
        self.span = span
        self.granted = 0
        self.used = 0
        self.held = 0
        self.spent = 0  # of the whole account, as last heard
        self.held_by_all = 0
        self.drawn_at = now - RENEWED
        self.needed_at = now
        self.in_flight = False
        self.end = span.end  # 0 when nothing new is taken from it
        self._is_doubted = False
        self._is_lost = False  # the ledger has settled it already
        self._is_hard = account.limit.hard
        self.was_drawn = False
        self._acknowledged = 0  # of `used`, sent to the ledger
        self._confirmed = 0  # of `used`, heard by it
        self._peak = 0  # the most that calls have lately needed at once
        self._missed = 0
        self._takes = 0
        self._pace = 0.0  # used per second
        self._paced_at = now

    @property
    def name(self) -> str:
        return account_name(self.account, self.span)

    @property
    def left(self) -> int:
        """What is left of the whole account, as far as it is known here."""
        others = self.held_by_all - self.granted
        return max(0, self.account.limit.amount - self.spent - others - (self.used - self._acknowledged) - self.held)

    @property
    def is_idle(self) -> bool:
        return not (self.held or self.granted or self.used > self._acknowledged)

    def take(self, amount: int, now: float) -> bool:
        """Holds an amount without asking anybody, if there is enough and the ledger has lately been heard."""
        unsaid = self.used - self._acknowledged
        if self._is_hard and (self.granted - unsaid - self.held < amount or now - self.drawn_at >= TRUSTED):
            return False
        self.held += amount
        self.needed_at = now
        self._takes += 1
        self._peak = max(self._peak, self.held + unsaid)
        return True

    def give_back(self, amount: int, used: int) -> None:
        self.held -= amount
        self.used += used

    def note_need(self, amount: int, now: float) -> None:
        """Remembers what calls needed that found too little here, but for what no slice would be large enough for."""
        if amount * SHARE > self.left:
            return
        self.needed_at = now
        self._missed += amount
        self._peak = max(self._peak, self.held + self.used - self._acknowledged + self._missed)

    def draw(self, *, owner: str, observed: int, now: float, is_away: bool) -> Draw:
        """What to ask the ledger for. Until it answers, the slice is as small as the answer may make it.

        `is_away`: it hardly will, so nothing is offered that may be needed until it is back.
        """
        self._note_pace(now)
        want = max(self._wanted(now), self._mine) if is_away else self._wanted(now)
        self.granted = min(self._mine, want)
        self._acknowledged = self.used
        self._peak, self._missed = max(self.held, self._peak * 3 // 4), 0
        self.in_flight = self.was_drawn = True
        return Draw(self.id, owner, LEASE, self.line(want, observed=observed))

    def _note_pace(self, now: float) -> None:
        """Many calls make a pace; a few large ones do not, and what they might need once more is not kept from others."""
        passed = max(EVERY, now - self._paced_at)
        pace = (self.used - self._acknowledged) / passed if self._takes > BUSY * passed else 0.0
        self._pace, self._paced_at, self._takes = max(pace, self._pace * 0.9), now, 0

    def hear(self, *, spent: int, held: int) -> None:
        """How the whole account stands."""
        self.spent, self.held_by_all = spent, held

    def drawn(self, outcome: Outcome, now: float) -> None:
        self.in_flight = False
        match outcome:
            case Granted(spent, held):
                self.granted = held[0]
                self.hear(spent=spent[0], held=held[1])
                self._confirmed = self._acknowledged
                self.drawn_at = now
            case Stale():  # what was used is settled, but the sum that it is in was not told
                self.drawn_at = now
            case _:
                self._is_lost = True
        if self._is_lost or self._is_doubted:
            self.end = 0

    def failed(self) -> None:
        self.in_flight = False
        self._is_doubted = self._is_hard

    def is_due(self, now: float, *, to_the_last: bool = False) -> bool:
        """Whether the ledger does not know what was used, or should hold another amount, or more time has passed than may.

        What is not needed is given back once it is a quarter; `to_the_last`: however little it is.
        """
        if self.in_flight or self._is_lost:
            return False
        if self._is_doubted and self.end:
            return True
        wanted = self._wanted(now)
        is_off = wanted > self._mine or wanted * 4 < self._mine * 3
        is_off = is_off or (to_the_last and wanted < self._mine)
        return is_off or self.used != self._acknowledged or now - self.drawn_at >= RENEWED

    def reopened(self, owner: str, *, flushed: bool) -> Draw:
        """What opens it in a ledger that has lost it. After a flush, what the ledger had confirmed is known otherwise."""
        if flushed:
            self.id = _new_id()
            self.used -= self._confirmed
            self._acknowledged -= self._confirmed
            self._confirmed = 0
        return Draw(self.id, owner, LEASE, self.line(max(0, self._mine)))

    def settlement(self, observed: int = 0) -> Settle:
        """What ends it. `used` says how much of the amount was in a sum that the ledger has told."""
        return Settle(self.id, (line(self.account, self.span, self.used + observed, used=self._confirmed),))

    def line(self, amount: int, *, observed: int = 0) -> Line:
        return line(self.account, self.span, amount, observed=observed, used=self.used)

    @property
    def _mine(self) -> int:
        """What the ledger holds for this slice and has not been used."""
        return self.granted - (self.used - self._acknowledged)

    def _wanted(self, now: float) -> int:
        limit = self.account.limit.amount
        if not self._is_hard or not self.end:
            return self.held
        if self._is_doubted:
            return max(0, self._mine)
        left = max(0, limit - self.spent - self.held_by_all + self._mine)
        if left * SCARCE < limit or now - self.needed_at > IDLE:
            return self.held
        return max(self.held, min(self._peak * 2 + int(self._pace * CARRIED), left // SHARE))


class Escrow:
    """All slices of this worker, by the name of their account."""

    def __init__(
        self,
        teller: Teller,
        *,
        monotonic: Callable[[], float],
        observed: Callable[[], Mapping[str, int]],
        seen: Callable[[Account, Span, int], None],
    ) -> None:
        """`observed` gives, by the slice's id, what running calls have used so far; `seen` hears what accounts
        have spent, whenever the ledger says so."""
        self._teller = teller
        self._monotonic = monotonic
        self._observed = observed
        self._seen = seen
        self._slices: dict[str, Slice] = {}
        self._draining: list[Slice] = []
        self._has_landed = asyncio.Event()

    def slice(self, account: Account, now: int) -> Slice:
        """The slice of the account in the window in which `now` lies, by the ledger's clock."""
        found = self._slices.get(account.name)
        if found is not None and now < found.end and _is_same(found.account, account):
            return found
        return self._renewed(found, account, now)

    def note_spent(self, account: Account, span: Span, amount: int) -> None:
        """Something was spent that its slice does not know of."""
        found = self._slices.get(account.name)
        if found is not None and found.span == span:
            found.spent += amount

    def all(self) -> Sequence[Slice]:
        return (*self._slices.values(), *self._draining)

    async def run(self) -> None:
        """Draws, renews and gives back until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.refresh(self.all())

    async def refresh(self, slices: Iterable[Slice], *, shrink: bool = False) -> None:
        """Tells the ledger what was used and asks for what is needed; `shrink`: for nothing, so that others can have it."""
        slices = list(slices)
        if shrink and any(each.in_flight for each in slices):
            await self._landed()
        now = self._monotonic()
        observed = self._observed()
        due = []
        for each in slices:
            if shrink:
                each.needed_at = now - IDLE - 1
            if each.is_due(now, to_the_last=shrink):
                due.append(each)
        owner, is_away = self._teller.owner, self._teller.is_away
        draws = [each.draw(owner=owner, observed=observed.get(each.id, 0), now=now, is_away=is_away) for each in due]
        await asyncio.gather(*(self._draw(each, draw) for each, draw in zip(due, draws, strict=True)))
        self._tidy()

    async def _landed(self) -> None:
        """Waits for the draw that is under way: what it asked for is not what is wanted any more."""
        self._has_landed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY):
                await self._has_landed.wait()

    def standing(self, flushed: bool) -> Iterable[Operation]:
        """What opens the slices again in a ledger that lost them. After a flush, what they had used is known otherwise."""
        for each in self.all():
            if flushed:
                self._teller.heard([each.id], 0)  # nor may whoever reads our journal tell it
            yield each.reopened(self._teller.owner, flushed=flushed)

    def settlements(self) -> Iterable[Settle]:
        """What ends every slice at what was used, whoever reads it: for a worker that dies."""
        observed = self._observed()
        for each in self.all():
            yield each.settlement(observed.get(each.id, 0))

    def close(self) -> None:
        """Gives everything back."""
        for each in self.all():
            self._end(each)
        self._slices.clear()
        self._draining.clear()

    async def _draw(self, slice: Slice, draw: Draw) -> None:
        try:
            outcome = await self._teller.ask(draw)
        except asyncio.CancelledError:  # the call that needed it has been given up
            slice.failed()
            raise
        except Overloaded:
            slice.failed()
            return
        finally:
            self._has_landed.set()
        slice.drawn(outcome, self._monotonic())
        if isinstance(outcome, Granted):
            self._seen(slice.account, slice.span, slice.spent)

    def _renewed(self, old: Slice | None, account: Account, now: int) -> Slice:
        if old is not None:
            self._draining.append(old)
        fresh = self._slices[account.name] = Slice(account, account.span(now), now=self._monotonic())
        return fresh

    def _tidy(self) -> None:
        """Ends slices whose window has ended, or that nobody has needed for long, once nothing is held in them."""
        now = self._monotonic()
        for name, each in list(self._slices.items()):
            if each.end <= self._teller.now or (each.is_idle and now - each.needed_at > 5 * IDLE):
                del self._slices[name]
                self._draining.append(each)
        for each in [each for each in self._draining if not each.held and not each.in_flight]:
            self._draining.remove(each)
            self._end(each)

    def _end(self, slice: Slice) -> None:
        if slice.used or slice.was_drawn:
            self._teller.tell(slice.settlement())


def _is_same(one: Account, other: Account) -> bool:
    """Whether two policies say the same of an account."""
    return one is other or one.limit == other.limit


def account_name(account: Account, span: Span) -> str:
    return f"{account.name}|{span.id}"


def line(account: Account, span: Span, amount: int, *, observed: int = 0, used: int = 0) -> Line:
    limit = account.limit.amount if account.limit.hard else None
    return Line(account_name(account, span), amount, limit, span.begin, span.end, span.bucket, observed, used)


def _new_id() -> str:
    return "slice:" + secrets.token_hex(12)
