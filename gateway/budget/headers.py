"""`x-ratelimit-*`, in the words OpenAI's clients know."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.budget.limits import Account, Kind, Unit
from gateway.core.arrival import Headers
from gateway.core.ledger.operations import BUCKETS


def rate_headers(left: Mapping[Account, int]) -> Headers:
    """The tightest limit on requests and the tightest on tokens; `left` is what may still be used, by account.

    `reset` is when all of it would be there again if nobody called any more: the call just made leaves its window last.
    """
    headers: list[tuple[str, str]] = []
    for unit in (Unit.REQUESTS, Unit.TOKENS):
        rates = [each for each in left if each.limit.unit is unit and each.limit.kind is Kind.RATE]
        if not rates:
            continue
        account = min(rates, key=lambda each: left[each] / each.limit.amount)
        seconds = account.limit.window.span(0).bucket * (BUCKETS + 1) // 1000
        headers += [
            (f"x-ratelimit-limit-{unit.value}", str(account.limit.amount)),
            (f"x-ratelimit-remaining-{unit.value}", str(left[account])),
            (f"x-ratelimit-reset-{unit.value}", f"{seconds}s"),
        ]
    return tuple(headers)
