"""What calls would have cost, and which of them hard budgets would have refused."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.budget.limits import Account, Limits
from gateway.budget.windows import Span
from gateway.core.deployment import Model
from gateway.core.ledger.account import Account as Balance
from gateway.core.ledger.account import bucket_of
from gateway.core.ledger.operations import Line
from gateway.core.tenant import Tenant
from gateway.core.usage import Usage
from gateway.meter.price import cost
from gateway.route.candidates import Cascade

_INPUT, _OUTPUT = Usage(1_000, 0), Usage(0, 1_000)


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


def most_for_lost(saved: int | None, before: Model | Cascade, after: Model | Cascade) -> Cost | None:
    """The most that an answer would cost of `after` for which `before` took `saved` nano-USD, whatever part of its tokens were
    input; None where that is not known."""
    if saved is None or isinstance(before, Cascade):
        return None
    if not isinstance(after, Cascade):
        times = _times(before, after)
        return None if times is None else Cost(round(saved * times))
    tried = [_times(before, each) for each in (after.cheap, after.second) if each is not None]
    strong = _times(before, after.strong)
    if strong is None or any(each is None for each in tried):
        return None
    return Cost(round(saved * sum(each or 0.0 for each in tried)), round(saved * strong))


def _times(before: Model, after: Model) -> float | None:
    """How many times dearer a token is at the most."""
    costs = [(_expected(before, usage), _expected(after, usage)) for usage in (_INPUT, _OUTPUT)]
    times = [0.0 if new == 0 else new / old for old, new in costs if old and new is not None]
    return max(times) if len(times) == len(costs) else None


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


@dataclass(slots=True)
class _Window:
    """An account's, as it is now; `account` knows by itself when it ends."""

    account: Account
    span: Span
    balance: Balance


class Budgets:
    """The hard budgets of a policy, in the order of time. Empty when the traffic begins, and without what calls under way hold:
    a call is refused where what it costs itself is more than is left."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._windows: dict[str, _Window] = {}

    def refuse(self, tenant: Tenant, user: str | None, model: str, at: float, *, usd: int | None, tokens: int) -> bool:
        """Else what the call used is spent. `at` in UTC seconds; `usd` in nano-USD, None where it is not known."""
        if self._limits.is_empty:
            return False
        now = int(at * 1000)
        used = usd or 0, tokens
        touched = [
            (self._window(account, now), used[account.index])
            for account in self._limits.accounts(tenant, user, model)
            if account.limit.hard and not account.is_rate and account.index < len(used)
        ]
        if any(amount > window.balance.left for window, amount in touched):
            return True
        for window, amount in touched:
            window.balance.charge(amount, bucket_of(window.span.bucket, now))
        return False

    def _window(self, account: Account, now: int) -> _Window:
        known = self._windows.get(account.name)
        if known is None:
            known = self._windows[account.name] = _Window(account, Span("", begin=0, end=0), Balance())
        span = known.account.span(now)
        if span is not known.span:
            if span.id != known.span.id:
                known.balance = Balance()
            known.span = span
            known.balance.enter(Line("", 0, account.limit.amount, span.begin, span.end, span.bucket), now)
        elif span.bucket:
            known.balance.leave(now)
        return known
