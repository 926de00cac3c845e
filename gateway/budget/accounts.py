"""What each tenant has spent and has under way in this process.

Nothing is limited here yet: this is where reservations will be held before a call and settled after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from gateway.core.tenant import Tenant


@dataclass(slots=True)
class Account:
    """`spent` in nano-USD; `open` counts the calls under way; `unpriced` those that ended without a known cost."""

    spent: int = 0
    calls: int = 0
    open: int = 0
    unpriced: int = 0


class Accounts:
    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def hold(self, tenant: Tenant) -> Hold:
        """A context manager; leaving it settles the call at the cost it was given, or at nothing."""
        name = tenant.name
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account()
        return Hold(account)

    def all(self) -> Mapping[str, Account]:
        return self._accounts


class Hold:
    __slots__ = ("_account", "_cost", "_is_priced")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._cost = 0
        self._is_priced = True

    def settle(self, cost: int | None) -> None:
        """Says what the call has cost, in nano-USD; None when that is unknown."""
        self._is_priced = cost is not None
        self._cost = cost or 0

    def __enter__(self) -> Hold:
        self._account.open += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        account = self._account
        account.open -= 1
        account.calls += 1
        account.spent += self._cost
        account.unpriced += not self._is_priced
