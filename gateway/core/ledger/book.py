"""The rules of the ledger, over tables that somebody else keeps. No I/O; each operation is applied whole or not at all.

What always holds (`tests/core/ledger` checks it after each step of a random history):

- settled + held ≤ limit in every account whose limit was not lowered, whatever happens; what a provider used above its
  reservation is kept apart, in `over`, and refuses the next call;
- held is the sum of the open reservations;
- each reservation ends once: settled, or swept and then perhaps corrected.

`gateway/store/redis/lua` says the same in Lua, and tests/store/test_ledger_history.py holds the two against each other.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from gateway.core.ledger.account import Account, bucket_of
from gateway.core.ledger.operations import (
    Balance,
    Draw,
    Ended,
    Granted,
    Line,
    Once,
    Operation,
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
ONCE_KEPT = 40 * 86_400_000
"""The same for what is told once."""


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
    is_slice: bool
    parts: list[Part]


@dataclass(slots=True)
class Gone:
    """An id that has ended, known until then. `swept` has what each account was charged by a sweep, and in which bucket."""

    until: int
    swept: dict[str, tuple[int, int]] | None = None


class Tables(Protocol):
    """Where a ledger's rows are. A row that was changed is assigned again."""

    @property
    def accounts(self) -> MutableMapping[str, Account]: ...

    @property
    def open(self) -> MutableMapping[str, Open]: ...

    @property
    def gone(self) -> MutableMapping[str, Gone]: ...

    def expired(self, now: int, most: int) -> list[str]:
        """Ids of open reservations whose lease has run out, those first that ran out first."""
        ...

    def forget(self, now: int) -> None:
        """Drops the ids that need not be known any more, and the accounts that are due."""
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


def raise_base(tables: Tables, seen: Balance, now: int) -> None:
    """Counts as spent what was seen spent before everything was lost.

    Workers have seen one account at different times: the largest sum is true, and adding them up would count it again
    and again. It has a field of its own, for operations that are replayed are added, in whatever order workers come.
    """
    line = Line(seen.account, 0, seen.limit, seen.begin, seen.end, seen.bucket)
    account = _account(tables, line, now)
    account.base = max(account.base, seen.spent)
    account.based = bucket_of(seen.bucket, now)
    tables.accounts[seen.account] = account


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
    if (refused := _refusal(accounts, wanted, now)) is not None:
        return refused
    parts = []
    for account, line in zip(accounts, asked.lines, strict=True):
        account.hold(line.amount, is_slice=False)
        tables.accounts[line.account] = account
        parts.append(Part(line.account, line.amount, line.observed, 0, bucket_of(line.bucket, now)))
    opened = Open(asked.owner, lease_now + asked.lease, is_slice=False, parts=parts)
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
    refused = _refusal(accounts, wanted, now)
    if refused is None:
        for account, line, part, more in zip(accounts, asked.lines, opened.parts, wanted, strict=True):
            account.hold(more, is_slice=False)
            part.held += more
            tables.accounts[line.account] = account
    tables.open[asked.id] = opened
    return refused or _granted(tables, opened, now)


def _draw(tables: Tables, asked: Draw, now: int, lease_now: int) -> Outcome:
    line = asked.line
    opened = tables.open.get(asked.id)
    if opened is None:
        part = Part(line.account, 0, 0, 0, 0)
        opened = Open(asked.owner, 0, is_slice=True, parts=[part])
    part = opened.parts[0]
    if asked.id in tables.gone or not opened.is_slice or part.account != line.account:
        return Ended()
    account = _account(tables, line, now)
    opened.until = lease_now + asked.lease
    part.bucket = bucket_of(line.bucket, now)
    newly = max(0, line.used - part.used)
    _take(account, part, newly, is_slice=True)
    part.used += newly
    part.observed = max(0, line.observed)
    stale = _is_stale((line,), now)
    target = min(part.held, line.amount) if stale else line.amount
    change = min(target - part.held, account.left)
    part.held += change
    account.hold(change, is_slice=True)
    tables.accounts[line.account] = account
    tables.open[asked.id] = opened
    return Stale() if stale else Granted((account.spent,), (part.held, account.held))


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
            before, bucket = charged.get(line.account, (0, bucket_of(line.bucket, now)))
            account.charge(line.amount - before, bucket)
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
    tables.gone[asked.id] = Gone(now + ONCE_KEPT)
    return Settled()


def _sweep(tables: Tables, asked: Sweep, now: int, lease_now: int) -> Outcome:
    owners = {}
    for id in tables.expired(lease_now, asked.most):
        opened = tables.open[id]
        owners[id] = opened.owner
        charged = {}
        for part in opened.parts:
            account = tables.accounts.get(part.account) or Account()
            amount = min(part.held, part.observed)
            charged[part.account] = (part.used + amount, part.bucket)
            _end(account, part, amount, is_slice=opened.is_slice)
            tables.accounts[part.account] = account
        del tables.open[id]
        tables.gone[id] = Gone(now + ORPHANS_KEPT, swept=charged)
    tables.forget(now)
    return Swept(owners)


def _end(account: Account, part: Part, amount: int, *, is_slice: bool) -> int:
    """Settles `amount` of a part and gives the rest of its hold back. What was settled above the hold."""
    over = _take(account, part, amount, is_slice=is_slice)
    account.hold(-part.held, is_slice=is_slice)
    part.held = 0
    return over


def _take(account: Account, part: Part, amount: int, *, is_slice: bool) -> int:
    """Turns `amount` of what a part holds into spending, and charges what it does not hold. How much that was."""
    within = min(amount, part.held)
    part.held -= within
    account.hold(-within, is_slice=is_slice)
    account.settle(within, part.bucket)
    account.charge(amount - within, part.bucket)
    return amount - within


def _refusal(accounts: Sequence[Account], wanted: Sequence[int], now: int) -> Refused | None:
    """None when every amount fits. An account named twice would be checked against itself, so nobody names one twice."""
    if all(more <= 0 or more <= account.left for account, more in zip(accounts, wanted, strict=True)):
        return None
    fits = tuple(account.fits_at(more, now) for account, more in zip(accounts, wanted, strict=True))
    return Refused(tuple(account.left for account in accounts), fits)


def _is_stale(lines: tuple[Line, ...], now: int) -> bool:
    return not all(line.begin <= now < line.end for line in lines)


def _account(tables: Tables, line: Line, now: int) -> Account:
    account = tables.accounts.get(line.account) or Account()
    account.enter(line, now)
    return account


def _granted(tables: Tables, opened: Open, now: int) -> Granted:
    accounts = [tables.accounts.get(part.account) or Account() for part in opened.parts]
    for account in accounts:
        account.leave(now)
    return Granted(tuple(account.spent for account in accounts), tuple(account.held for account in accounts))
