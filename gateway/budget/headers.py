"""`x-ratelimit-*`, in the words OpenAI's clients know."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from gateway.budget.limits import Account, Limit, Unit
from gateway.budget.windows import Window
from gateway.core.arrival import Headers
from gateway.core.ledger.operations import BUCKETS


def rate_headers(left: Iterable[tuple[Account, int]]) -> Headers:
    """The tightest limit on requests and the tightest on tokens; `left` is what may still be used, by account.

    `reset` is when all of it would be there again if nobody called any more: the call just made leaves its window last.
    """
    tightest: dict[str, tuple[Limit, int]] = {}
    for account, rest in left:
        limit = account.limit
        if account.is_rate and limit.unit is not Unit.CALLS:
            unit = limit.unit.value
            other = tightest.get(unit)
            if other is None or rest * other[0].amount < other[1] * limit.amount:
                tightest[unit] = limit, rest
    headers: list[tuple[str, str]] = []
    for unit, (limit, rest) in tightest.items():
        headers += (*_fixed(unit, limit.amount, limit.window), (_REMAINING[unit], str(rest)))
    return tuple(headers)


_REMAINING = {each.value: f"x-ratelimit-remaining-{each.value}" for each in Unit}


@lru_cache(maxsize=1000)
def _fixed(unit: str, amount: int, window: Window) -> Headers:
    """What does not change from call to call."""
    seconds = window.span(0).bucket * (BUCKETS + 1) // 1000
    return (f"x-ratelimit-limit-{unit}", str(amount)), (f"x-ratelimit-reset-{unit}", f"{seconds}s")
