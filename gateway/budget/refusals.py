"""Why a call is refused, in words for whoever made it: which level is short, never what others have spent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.budget.limits import Account, Kind, Unit
from gateway.budget.reserve import NotAffordable, Shortage
from gateway.core.deployment import Deployment
from gateway.core.errors import BudgetExhausted, CallerError, InvalidRequest, RateLimited
from gateway.core.ledger.operations import NEVER

_LEVELS = {
    "org": "organisation",
    "team": "team",
    "key": "key",
    "user": "end user",
    "route": "trials of",
    "model": "model",
}


def refusal(found: NotAffordable, *, affordable: int | None) -> CallerError:
    """`affordable` is the largest output cap that would fit; None where no cap would."""
    budgets = [each for each in found.shortages if each.account.limit.kind is Kind.BUDGET]
    if budgets:
        return _over_budget(budgets, affordable)
    return _over_rate(found.shortages, found.now)


def unpriced(account: Account, deployment: Deployment) -> InvalidRequest:
    return InvalidRequest(
        f"{deployment.name} has no price, and the {level(account)}'s budget in USD allows no call without one",
        code="model_not_priced",
        param="model",
    )


def boundless(account: Account, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{why}, and the {level(account)}'s budget must not be run past: bound it (max_uses, max_tool_calls), or leave it out",
        code="unbounded_tool",
        param="tools",
    )


def level(account: Account) -> str:
    return _LEVELS[account.scope]


def _over_budget(short: Sequence[Shortage], affordable: int | None) -> BudgetExhausted:
    spent = next((each for each in short if each.left == 0), None)
    if spent is not None:
        return BudgetExhausted(
            f"The {level(spent.account)}'s {_named(spent.account)} is spent.",
            headers=(("x-llmgw-budget-remaining", "0"),),
        )
    account = short[0].account
    what = f"What is left of the {level(account)}'s {_named(account)} does not cover this call"
    advice = f"; it covers max_tokens up to {affordable}." if affordable else ", whatever its max_tokens."
    return BudgetExhausted(what + advice, code="budget_insufficient_for_request", param="max_tokens")


def _over_rate(short: Sequence[Shortage], now: int) -> RateLimited:
    worst = max(short, key=lambda each: each.fits_at)
    limit = worst.account.limit
    if limit.unit is Unit.CALLS:
        return RateLimited(
            f"The {level(worst.account)} has {limit.amount} calls under way, which is its limit.",
            code="concurrency_exceeded",
            retry_after=1,
        )
    if worst.needed > limit.amount:
        message = f"This call may use {worst.needed} {limit.unit.value}, and the {level(worst.account)}'s limit is {limit.amount}"
        return RateLimited(f"{message} {_per(worst.account)}; ask for less.", should_retry=False)
    message = (
        f"The {level(worst.account)}'s limit of {limit.amount} {limit.unit.value} {_per(worst.account)} is reached."
    )
    if worst.fits_at >= NEVER:
        return RateLimited(message, retry_after=1)
    return RateLimited(message, retry_after=max(1, math.ceil((worst.fits_at - now) / 1000)))


def _per(account: Account) -> str:
    window = str(account.limit.window)
    return f"per {({'60s': 'minute', '86400s': 'day'}).get(window, window)}"


def _named(account: Account) -> str:
    unit = "budget" if account.limit.unit is Unit.USD else "token budget"
    return f"{unit} per {account.limit.window}" if str(account.limit.window) != "ever" else unit
