"""The rules of the ledger, over tables that somebody else keeps. No I/O; each operation is applied whole or not at all.

What always holds (`tests/core/ledger` checks it after each step of a random history):

- settled + held ≤ limit in every account that has a limit, whatever happens; what a provider used above its reservation
  is kept apart, in `over`, and refuses the next call;
- held is the sum of the open reservations;
- each reservation ends once: settled, or swept and then perhaps corrected.

`gateway/store/redis/ledger.lua` says the same in Lua, and a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Set
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.ledger.operations import (
    BUCKETS,
    NEVER,
    Draw,
    Ended,
    Granted,
    Line,
    Once,
    Operation,
    Orphan,
    Outcome,
    Refused,
    Renew,
    Reserve,
    Settle,
    Settled,
    Stale,
    Sweep,
    Swept,
)

KEPT = 180_000
"""Milliseconds for which an id that has ended is known, so that a repeated operation is recognised."""
ORPHANS_KEPT = 86_400_000
"""The same for one that was swept: its worker may have been suspended, and settle it late."""
ACCOUNTS_KEPT = 86_400_000
"""Milliseconds for which an account is kept after its window has ended."""


@dataclass(slots=True)
class Account:
    """`settled` is what counts against the limit now; in a rolling window it is the sum of `buckets`, by their number."""

    limit: int | None = None
    settled: int = 0
    over: int = 0
    held: int = 0
    escrowed: int = 0
    begin: int = 0
    end: int = NEVER
    bucket: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    @property
    def spent(self) -> int:
        return self.settled + self.over

    @property
    def left(self) -> int:
        """What may still be held; NEVER without a limit."""
        return NEVER if self.limit is None else max(0, self.limit - self.spent - self.held)


@dataclass(slots=True)
class Part:
    """One account's part of an open reservation. `bucket` is the number of the bucket it will be settled in."""

    account: str
    held: int
    observed: int
    used: int
    bucket: int


@dataclass(slots=True)
class Open:
    owner: str
    until: int
    orphan: Orphan
    is_slice: bool
    parts: list[Part]


@dataclass(slots=True)
class Gone:
    """An id that has ended, known until then. `swept` has what each account was charged when it was swept."""

    until: int
    swept: dict[str, int] | None = None


class Tables(Protocol):
    """Where a ledger's rows are. A row that was changed is assigned again."""

    @property
    def accounts(self) -> MutableMapping[str, Account]: ...

    @property
    def open(self) -> MutableMapping[str, Open]: ...

    @property
    def gone(self) -> MutableMapping[str, Gone]: ...

    def expired(self, now: int, most: int) -> list[str]:
        """Ids of open reservations whose lease has run out."""
        ...

    def forget(self, now: int) -> None:
        """Drops the ids that need not be known any more, and the accounts whose `end` lies ACCOUNTS_KEPT back."""
        ...


def apply(tables: Tables, operation: Operation, *, now: int, lease_now: int) -> Outcome:
    """`now` is the ledger's wall clock, `lease_now` the clock of leases, which may be a monotonic one. In milliseconds."""
    match operation:
        case Reserve():
            return _reserve(tables, operation, now, lease_now)
        case Renew():
            return _renew(tables, operation, now, lease_now)
        case Draw():
            return _draw(tables, operation, now, lease_now)
        case Settle():
            return _settle(tables, operation, now)
        case Once():
            return _once(tables, operation, now)
        case Sweep():
            return _sweep(tables, operation, now, lease_now)


def _reserve(tables: Tables, asked: Reserve, now: int, lease_now: int) -> Outcome:
    opened = tables.open.get(asked.id)
    if opened is not None:
        return _granted(tables, opened, now)
    if asked.id in tables.gone:
        return Ended()
    if _is_stale(asked.lines, now):
        return Stale()
    accounts = [_account(tables, line, now) for line in asked.lines]
    wanted = [line.amount for line in asked.lines]
    if (refused := _refusal(accounts, wanted, asked.lines, now)) is not None:
        return refused
    parts = []
    for account, line in zip(accounts, asked.lines, strict=True):
        account.held += line.amount
        tables.accounts[line.account] = account
        parts.append(Part(line.account, line.amount, line.observed, 0, _bucket(line.bucket, now)))
    opened = Open(asked.owner, lease_now + asked.lease, asked.orphan, is_slice=False, parts=parts)
    tables.open[asked.id] = opened
    return _granted(tables, opened, now)


def _renew(tables: Tables, asked: Renew, now: int, lease_now: int) -> Outcome:
    opened = tables.open.get(asked.id)
    if opened is None or opened.is_slice:
        return Ended()
    opened.until = lease_now + asked.lease
    for part, line in zip(opened.parts, asked.lines, strict=True):
        part.observed = max(part.observed, line.observed)
    accounts = [_account(tables, line, now) for line in asked.lines]
    wanted = [max(0, line.amount - part.held) for part, line in zip(opened.parts, asked.lines, strict=True)]
    refused = _refusal(accounts, wanted, asked.lines, now)
    if refused is None:
        for account, line, part, more in zip(accounts, asked.lines, opened.parts, wanted, strict=True):
            account.held += more
            part.held += more
            tables.accounts[line.account] = account
    tables.open[asked.id] = opened
    return refused or _granted(tables, opened, now)


def _draw(tables: Tables, asked: Draw, now: int, lease_now: int) -> Outcome:
    line = asked.line
    if asked.id in tables.gone:
        return Ended()
    account = _account(tables, line, now)
    opened = tables.open.get(asked.id)
    if opened is None:
        part = Part(line.account, 0, 0, 0, 0)
        opened = Open(asked.owner, 0, Orphan.OBSERVED, is_slice=True, parts=[part])
    part = opened.parts[0]
    opened.until = lease_now + asked.lease
    newly = max(0, line.used - part.used)
    _take(account, part, newly, _bucket(line.bucket, now), is_slice=True)
    part.used += newly
    part.observed = max(0, line.observed)
    stale = _is_stale((line,), now)
    target = min(part.held, line.amount) if stale else line.amount
    change = min(target - part.held, account.left)
    part.held += change
    account.held += change
    account.escrowed += change
    tables.accounts[line.account] = account
    tables.open[asked.id] = opened
    return Stale() if stale else Granted((account.spent,), (part.held,))


def _settle(tables: Tables, asked: Settle, now: int) -> Outcome:
    opened, gone = tables.open.get(asked.id), tables.gone.get(asked.id)
    if opened is None and gone is not None and gone.swept is None:
        return Ended()
    over = 0
    charged = gone.swept if gone is not None and gone.swept is not None else {}
    parts = {part.account: part for part in opened.parts} if opened is not None else {}
    for line in asked.lines:
        account = _account(tables, line, now)
        part = parts.get(line.account)
        if part is None:
            _charge(account, line.amount - charged.get(line.account, 0), _bucket(line.bucket, now))
        else:
            is_slice = opened is not None and opened.is_slice
            over += _end(account, part, max(0, line.amount - part.used), is_slice=is_slice)
        tables.accounts[line.account] = account
    if opened is not None:
        _give_back(tables, opened, {line.account for line in asked.lines})
        del tables.open[asked.id]
    tables.gone[asked.id] = Gone(now + KEPT)
    return Settled(over)


def _give_back(tables: Tables, opened: Open, named: Set[str]) -> None:
    """What a reservation holds in accounts that its settlement does not name."""
    for part in opened.parts:
        if part.account not in named:
            account = tables.accounts.get(part.account) or Account()
            _end(account, part, 0, is_slice=opened.is_slice)
            tables.accounts[part.account] = account


def _once(tables: Tables, asked: Once, now: int) -> Outcome:
    if asked.id in tables.gone:
        return Ended()
    tables.gone[asked.id] = Gone(now + ORPHANS_KEPT * 40)
    return Settled()


def _sweep(tables: Tables, asked: Sweep, now: int, lease_now: int) -> Outcome:
    owners = {}
    for id in tables.expired(lease_now, asked.most):
        opened = tables.open[id]
        owners[id] = opened.owner
        charged = {}
        for part in opened.parts:
            account = tables.accounts.get(part.account, Account())
            amount = _orphaned(part, opened.orphan)
            charged[part.account] = part.used + amount
            _end(account, part, amount, is_slice=opened.is_slice)
            tables.accounts[part.account] = account
        del tables.open[id]
        tables.gone[id] = Gone(now + ORPHANS_KEPT, swept=charged)
    tables.forget(now)
    return Swept(owners)


def _orphaned(part: Part, orphan: Orphan) -> int:
    match orphan:
        case Orphan.OBSERVED:
            return min(part.held, part.observed)
        case Orphan.RESERVED:
            return part.held
        case Orphan.RELEASE:
            return 0


def _end(account: Account, part: Part, amount: int, *, is_slice: bool) -> int:
    """Settles `amount` of a part and gives the rest of its hold back. What was settled above the hold."""
    over = _take(account, part, amount, part.bucket, is_slice=is_slice)
    account.held -= part.held
    account.escrowed -= part.held * is_slice
    part.held = 0
    return over


def _take(account: Account, part: Part, amount: int, bucket: int, *, is_slice: bool) -> int:
    """Turns `amount` of what a part holds into spending, and charges what it does not hold. How much that was."""
    within = min(amount, part.held)
    part.held -= within
    account.held -= within
    account.escrowed -= within * is_slice
    _add(account, within, bucket)
    _charge(account, amount - within, bucket)
    return amount - within


def _charge(account: Account, amount: int, bucket: int) -> None:
    """Spends what nobody holds, in `over` where it passes the limit. A negative amount corrects an earlier charge."""
    within = min(amount, account.left)
    _add(account, max(within, -account.settled), bucket)
    account.over += amount - within


def _add(account: Account, amount: int, bucket: int) -> None:
    """Into a bucket that has left its window nothing is added: it would never leave again."""
    if account.bucket:
        if bucket not in account.buckets and (amount <= 0 or bucket < max(account.buckets, default=0) - BUCKETS):
            return
        amount = max(amount, -account.buckets.get(bucket, 0))
        account.buckets[bucket] = account.buckets.get(bucket, 0) + amount
    account.settled += amount


def _refusal(accounts: list[Account], wanted: list[int], lines: tuple[Line, ...], now: int) -> Refused | None:
    """None when every amount fits. An account named twice would be checked against itself, so nobody names one twice."""
    if all(more <= 0 or more <= account.left for account, more in zip(accounts, wanted, strict=True)):
        return None
    fits = tuple(
        now if more <= account.left else _fits_at(account, more, line)
        for account, more, line in zip(accounts, wanted, lines, strict=True)
    )
    return Refused(tuple(account.left for account in accounts), fits)


def _fits_at(account: Account, more: int, line: Line) -> int:
    """When `more` will fit, if nobody spends and nothing that is held comes back."""
    limit = NEVER if line.limit is None else line.limit
    if more > limit:
        return NEVER
    if not account.bucket:
        return line.end if account.spent else NEVER
    missing = more - (limit - account.spent - account.held)
    for number in sorted(account.buckets):
        missing -= account.buckets[number]
        if missing <= 0:
            return (number + BUCKETS + 1) * account.bucket
    return NEVER


def _is_stale(lines: tuple[Line, ...], now: int) -> bool:
    return not all(line.begin <= now < line.end for line in lines)


def _account(tables: Tables, line: Line, now: int) -> Account:
    account = tables.accounts.get(line.account) or Account()
    account.limit = line.limit
    account.begin, account.end, account.bucket = line.begin, line.end, line.bucket
    _leave(account, now)
    return account


def _leave(account: Account, now: int) -> None:
    """Takes out of a rolling window what has left it; an overdraft leaves with the bucket that is last."""
    if not account.bucket:
        return
    oldest = now // account.bucket - BUCKETS
    for number in [number for number in account.buckets if number < oldest]:
        account.settled -= account.buckets.pop(number)
    if not account.buckets:
        account.over = 0


def _bucket(size: int, now: int) -> int:
    return now // size if size else 0


def _granted(tables: Tables, opened: Open, now: int) -> Granted:
    accounts = [tables.accounts[part.account] for part in opened.parts]
    for account in accounts:
        _leave(account, now)
    return Granted(tuple(account.spent for account in accounts), tuple(account.held for account in accounts))
