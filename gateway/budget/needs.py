"""How much of each account a call needs: the most that so many tokens of input and output can come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.budget import refusals
from gateway.budget.limits import Account, Kind, Unit
from gateway.budget.local import Demand
from gateway.budget.reserve import Shortage
from gateway.core.call import Call
from gateway.core.deployment import Deployment


class Estimates(Protocol):
    """What a call may use and what that costs; see meter.bound."""

    def sent(self, call: Call) -> int: ...

    async def sent_closely(self, call: Call, deployment: Deployment) -> int | None: ...

    def guess_sent(self, call: Call) -> int: ...

    def choices(self, call: Call) -> int: ...

    def asked_output(self, call: Call) -> int | None: ...

    async def count(self, text: str, deployment: Deployment) -> int: ...

    def ceiling(self, call: Call, deployment: Deployment, *, sent: int, made: int) -> int | None: ...

    def cost(self, deployment: Deployment, *, sent: int, made: int) -> int: ...


class Needs:
    def __init__(self, call: Call, accounts: tuple[Account, ...], estimates: Estimates) -> None:
        self._call = call
        self._estimates = estimates
        self.accounts = accounts
        self.choices = estimates.choices(call)

    @property
    def is_bound(self) -> bool:
        """Whether a hard budget is among them, which the provider must not run past."""
        return any(each.limit.hard and each.limit.kind is Kind.BUDGET for each in self.accounts)

    def places(self) -> list[Demand]:
        """What a call needs that costs nothing."""
        return [(each, 1) for each in self.accounts if each.limit.unit in (Unit.REQUESTS, Unit.CALLS)]

    def all(self, deployment: Deployment, *, sent: int, made: int) -> list[Demand]:
        """Raises InvalidRequest where a price is needed and there is none."""
        demands = [(each, self._amount(each, deployment, sent, made)) for each in self.accounts]
        return [(account, amount) for account, amount in demands if amount]

    def more(self, deployment: Deployment, *, sent: int, made: int, more: int) -> list[Demand]:
        """What `more` tokens of output need besides."""
        demands = []
        for account in self.accounts:
            if account.limit.unit in (Unit.USD, Unit.TOKENS):
                before = self._amount(account, deployment, sent, made)
                demands.append((account, self._amount(account, deployment, sent, made + more) - before))
        return [(account, amount) for account, amount in demands if amount > 0]

    def longest(self, shortages: Sequence[Shortage], deployment: Deployment, *, sent: int, most: int) -> int | None:
        """The largest output cap, up to `most`, for which enough is left; None when a rate is short, or even one token."""
        if any(each.account.limit.kind is Kind.RATE for each in shortages):
            return None

        def fits(cap: int) -> bool:
            made = cap * self.choices
            return all(self._amount(each.account, deployment, sent, made) <= each.left for each in shortages)

        if most < 1 or not fits(1):
            return None
        low, high = 1, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        return low

    def _amount(self, account: Account, deployment: Deployment, sent: int, made: int) -> int:
        match account.limit.unit:
            case Unit.USD:
                cost = self._estimates.ceiling(self._call, deployment, sent=sent, made=made)
                if cost is None and account.limit.hard and not account.limit.allows_unpriced:
                    raise refusals.unpriced(account, deployment)
                return cost or 0
            case Unit.TOKENS:
                return sent + made
            case _:
                return 1
