"""Rates by this worker's own count, for when the ledger is away: each worker allows its share of the limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.budget.escrow import line
from gateway.budget.limits import Account
from gateway.core.ledger import account as accounts
from gateway.core.ledger import book
from gateway.core.ledger.operations import Line, Refused, Reserve, Settle

Demand = tuple[Account, int]
"""An account and how much of it a call may use, or has used."""

_FOREVER = 2**50
_ENTRIES = 50_000


class _Tables:
    """Implements `book.Tables` in memory. Nothing expires: calls end with their worker."""

    def __init__(self) -> None:
        self.accounts: dict[str, accounts.Account] = {}
        self.open: dict[str, book.Open] = {}
        self.gone: dict[str, book.Gone] = {}

    def expired(self, now: int, most: int) -> list[str]:
        return []

    def forget(self, now: int) -> None:
        """Nothing is kept long enough to be forgotten."""


class LocalLedger:
    """`workers` tells among how many workers a limit is shared out."""

    def __init__(self, workers: Callable[[], int]) -> None:
        self._workers = workers
        self._tables = _Tables()

    def reserve(self, id: str, demands: Sequence[Demand], now: int) -> Refused | None:
        """Holds all amounts, or none and says why."""
        if len(self._tables.accounts) > _ENTRIES:
            self._tables.accounts.clear()
        lines = tuple(self._line(account, amount, now) for account, amount in demands)
        outcome = book.apply(self._tables, Reserve(id, "", _FOREVER, lines), now=now, lease_now=now)
        return outcome if isinstance(outcome, Refused) else None

    def settle(self, id: str, used: Sequence[Demand], now: int) -> None:
        lines = tuple(self._line(account, amount, now) for account, amount in used)
        book.apply(self._tables, Settle(id, lines), now=now, lease_now=now)
        del self._tables.gone[id]

    def _line(self, account: Account, amount: int, now: int) -> Line:
        whole = line(account, account.span(now), amount)
        share = max(1, account.limit.amount // max(1, self._workers()))
        return Line(whole.account, amount, share, whole.begin, whole.end, whole.bucket)
