"""How much of each account a call needs: the most that so many tokens of input and output can come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.budget import refusals
from gateway.budget.limits import Account, Unit, Used
from gateway.budget.local import Demand
from gateway.budget.reserve import Shortage
from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.ledger.operations import NEVER

LARGEST = NEVER // 4
"""Whatever is asked for, no more than this is ever held: the ledger's numbers end somewhere."""


class Estimates(Protocol):
    """What a call may use and what that costs; see meter.bound."""

    def sent(self, call: Call, deployment: Deployment) -> int: ...

    async def sent_closely(self, call: Call, deployment: Deployment) -> int | None: ...

    def guess_sent(self, call: Call) -> int: ...

    def choices(self, call: Call) -> int: ...

    def asked_output(self, call: Call) -> int | None: ...

    def cap_is_told(self, call: Call, deployment: Deployment) -> bool:
        """Whether the client gave its cap in the field that the provider reads."""
        ...

    async def count(self, text: str, deployment: Deployment) -> int: ...

    def ceiling(self, call: Call, deployment: Deployment, *, sent: int, made: int) -> int | None: ...

    def cost(self, deployment: Deployment, *, sent: int, made: int) -> int: ...

    def boundless(self, call: Call, deployment: Deployment) -> str | None:
        """Why nobody can say what the call may come to there; None where somebody can."""
        ...


class Needs:
    """`is_bound`: a hard budget is among the accounts, which the provider must not run past."""

    def __init__(self, call: Call, accounts: tuple[Account, ...], estimates: Estimates) -> None:
        self._call = call
        self._estimates = estimates
        self.accounts = accounts
        self.has_money = self.is_bound = False
        for each in accounts:
            self.has_money = self.has_money or each.index == 0
            self.is_bound = self.is_bound or (each.limit.hard and not each.is_rate)
        self.choices = estimates.choices(call)

    def check_bound(self, deployment: Deployment) -> None:
        """Raises InvalidRequest for a call without bound, where there is a budget that must not be run past."""
        if self.is_bound and (why := self._estimates.boundless(self._call, deployment)) is not None:
            account = next(each for each in self.accounts if each.limit.hard and not each.is_rate)
            raise refusals.boundless(account, why)

    def places(self) -> list[Demand]:
        """What a call needs that costs nothing."""
        return [(each, 1) for each in self.accounts if each.limit.unit in (Unit.REQUESTS, Unit.CALLS)]

    def amounts(self, deployment: Deployment, *, sent: int, made: int) -> Used:
        """Raises InvalidRequest where a price is needed and there is none."""
        cost = self._estimates.ceiling(self._call, deployment, sent=sent, made=made)
        if cost is None:
            self._check_unpriced(deployment)
        return min(cost or 0, LARGEST), min(sent + made, LARGEST), 1, 1

    def all(self, amounts: Used) -> list[Demand]:
        return [(each, amount) for each in self.accounts if (amount := amounts[each.index])]

    def more(self, before: Used, after: Used) -> list[Demand]:
        """What is needed besides, of money and tokens."""
        grown = [(each, after[each.index] - before[each.index]) for each in self.accounts]
        return [(account, amount) for account, amount in grown if amount > 0]

    def longest(self, shortages: Sequence[Shortage], deployment: Deployment, *, sent: int, most: int) -> int | None:
        """The largest output cap, up to `most`, for which budgets have enough left; None when that is not even one token."""

        def fits(cap: int) -> bool:
            amounts = self.amounts(deployment, sent=sent, made=cap * self.choices)
            return all(amounts[each.account.index] <= each.left for each in shortages if not each.account.is_rate)

        if most < 1 or not fits(1):
            return None
        low, high = 1, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        return low

    def _check_unpriced(self, deployment: Deployment) -> None:
        for account in self.accounts:
            limit = account.limit
            if limit.unit is Unit.USD and limit.hard and not limit.allows_unpriced:
                raise refusals.unpriced(account, deployment)
