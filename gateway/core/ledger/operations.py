"""What can be asked of a ledger, and what it answers.

Amounts are integers in the unit of their account: nano-dollars, tokens, requests or calls. Times are milliseconds since
1970 by the ledger's own clock. Every operation names a reservation by its id and may be sent again: it is applied once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BUCKETS = 60
"""Parts of a rolling window: what was spent leaves it one part at a time."""
LARGEST = 2**53
"""Amounts beyond this are not exact everywhere (a Lua number is a double), so none is accepted."""
NEVER = 2**52
"""The end of a window that does not end."""


@dataclass(slots=True)
class Line:
    """One account in an operation, never changed; not frozen, for that costs 10 µs a call.

    `account` is its name with its window in it, so that a reset is another account.

    `limit` is None for an account that is counted and never refused. The window is `begin` to `end`; `bucket` is 0 for a
    calendar window, else the milliseconds of one of the BUCKETS of a rolling one.

    `amount` is what the operation is about: see each. `observed` is what it is settled at when its lease runs out.
    `used`, in a slice alone, is what has been used for good since it was opened.
    """

    account: str
    amount: int
    limit: int | None = None
    begin: int = 0
    end: int = NEVER
    bucket: int = 0
    observed: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True)
class Reserve:
    """Holds the amount of every line, or of none. Answers Granted, Refused, Stale or Ended."""

    id: str
    owner: str
    lease: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Holds a reservation for another lease, notes what was observed, and raises what is held to `amount`, all or none.

    Lines stand in the order of the reservation's. Answers Granted; Refused, with the lease renewed all the same; or Ended.
    """

    id: str
    lease: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """Opens or refreshes a slice: a reservation of one line that a worker spends from in its own memory.

    What has newly been used is settled at once; then the slice holds `amount`, or as much of it as there is, or less than
    it held when that is asked. Answers Granted, whose `held` is what the slice holds and then what the account holds in
    all; Stale (nothing new is held, what was used is settled); or Ended.
    """

    id: str
    owner: str
    lease: int
    line: Line


@dataclass(frozen=True, slots=True)
class Settle:
    """Ends a reservation at what each line has cost; an amount of 0 everywhere releases it.

    After a sweep the difference is corrected; for an id that was never reserved the amounts are charged as they are.
    Answers Settled, or Ended when it had been settled before.
    """

    id: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Settles reservations whose lease has run out, `most` at once, and forgets accounts whose window ended a day ago."""

    most: int = 200


@dataclass(frozen=True, slots=True)
class Once:
    """Answers Settled to the first who asks with this id, Ended to everyone after: so that one worker alone tells people."""

    id: str


Operation = Reserve | Renew | Draw | Settle | Sweep | Once


@dataclass(frozen=True, slots=True)
class Granted:
    """`spent` and `held` of each account after the operation, whoever holds it; a Draw tells them as it says itself."""

    spent: tuple[int, ...]
    held: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was held. For each line what was left of the account, and when `amount` will fit if nobody else spends.

    A time of NEVER: no time is known, for what is held may come back at any moment, or the amount is above the limit.
    """

    left: tuple[int, ...]
    fits_at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stale:
    """The ledger's clock is outside the window of a line: ask again with the windows of `now`."""


@dataclass(frozen=True, slots=True)
class Settled:
    """`over` is what was settled above what had been held, summed over the lines."""

    over: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """There is no such open reservation: it was settled, or swept."""


@dataclass(frozen=True, slots=True)
class Swept:
    """The reservations that were settled as orphans, and whose they were."""

    owners: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Corrupt:
    """A row that the operation needs cannot be read, so nothing was done: an operator has to mend or remove it.

    `row` is the account, or the id, that it is about.
    """

    row: str


Outcome = Granted | Refused | Stale | Settled | Ended | Swept | Corrupt


@dataclass(frozen=True, slots=True)
class Applied:
    """The ledger's clock when it applied the operations, and one outcome for each."""

    now: int
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """One account as it stands: settled within its hold, settled above it, held; of which `escrowed` in slices.

    `base` was spent as well, in a ledger that has been lost.
    """

    account: str
    limit: int | None
    settled: int
    over: int
    held: int
    escrowed: int
    begin: int
    end: int
    bucket: int
    base: int = 0

    @property
    def spent(self) -> int:
        return self.base + self.settled + self.over


class Rebuilding(Exception):
    """The ledger has lost something and waits for every worker to say what it knows. `flushed`: it has lost everything."""

    def __init__(self, *, flushed: bool) -> None:
        super().__init__("the ledger is being rebuilt")
        self.flushed = flushed
