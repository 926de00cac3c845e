"""What calls would have cost, and which of them hard budgets would have refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.budget.limits import Account, Kind, Limits, Unit
from gateway.core.deployment import Model
from gateway.core.ledger.account import Account as Balance
from gateway.core.ledger.operations import Line
from gateway.core.money import NANO
from gateway.core.tenant import Tenant
from gateway.core.usage import Usage
from gateway.meter.price import cost
from gateway.route.candidates import Cascade


@dataclass(frozen=True, slots=True)
class Cost:
    """In nano-USD. A cascade costs `escalated` more where its strong model is asked too."""

    sure: int
    escalated: int = 0


def cost_of(answers: Model | Cascade, usage: Usage) -> Cost | None:
    """As many tokens at the prices of who would answer; None where one is not known."""
    if not isinstance(answers, Cascade):
        found = _expected(answers, usage)
        return None if found is None else Cost(found)
    tried = [_expected(each, usage) for each in (answers.cheap, answers.second) if each is not None]
    strong = _expected(answers.strong, usage)
    if strong is None or any(each is None for each in tried):
        return None
    return Cost(sum(each or 0 for each in tried), strong)


def _expected(model: Model, usage: Usage) -> int | None:
    """By the weights of its deployments; fallbacks are for when these fail."""
    asked = [each for each in model.deployments if each.weight or len(model.deployments) == 1]
    if len(asked) == 1:
        price = asked[0].price
        return None if price is None else cost(usage, price)
    whole, total = 0, 0
    for each in asked:
        if each.price is None:
            return None
        whole += each.weight
        total += each.weight * cost(usage, each.price)
    return None if not whole else round(total / whole)


class Budgets:
    """The hard budgets of a policy, in the order of time. Empty when the traffic begins, and without what calls under way hold:
    a call is refused where what it costs itself is more than is left."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._balances: dict[str, tuple[str, Balance]] = {}

    def refuse(self, tenant: Tenant, user: str | None, model: str, at: float, used: Mapping[Unit, int]) -> bool:
        """Else what the call used is spent. `at` in UTC seconds."""
        if self._limits.is_empty:
            return False
        now = int(at * 1000)
        touched = [
            (self._balance(account, now), used[account.limit.unit])
            for account in self._limits.accounts(tenant, user, model)
            if account.limit.hard and account.limit.kind is Kind.BUDGET and account.limit.unit in used
        ]
        if any(amount > balance.left for (balance, _), amount in touched):
            return True
        for (balance, bucket), amount in touched:
            balance.charge(amount, bucket)
        return False

    def _balance(self, account: Account, now: int) -> tuple[Balance, int]:
        span = account.span(now)
        id, balance = self._balances.get(account.name, ("", None))
        if balance is None or id != span.id:
            balance = Balance()
            self._balances[account.name] = (span.id, balance)
        balance.enter(Line("", 0, account.limit.amount, span.begin, span.end, span.bucket), now)
        return balance, now // span.bucket if span.bucket else 0


def dollars(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO
