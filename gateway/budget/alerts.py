"""Tells people when a share of a budget has been spent: a line in the log, and a webhook where the policy names one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from gateway.budget.escrow import account_name
from gateway.budget.limits import Account, Kind, Unit
from gateway.budget.refusals import level
from gateway.budget.windows import Span
from gateway.core.ledger.operations import BUCKETS
from gateway.core.money import usd

_REMEMBERED = 10_000

log = logging.getLogger("llmgw.budget")

Tell = Callable[[str, Mapping[str, object]], None]
"""Gets an id, which is the same on every worker, and what to tell; must not block."""


class Alerts:
    """Each worker notices by itself; `tell` sees to it that one of them tells."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told: dict[str, float] = {}
        self.crossed = 0

    def look(self, account: Account, span: Span, spent: int, now: int) -> None:
        """Called with what an account has spent, as often as that is heard; `now` by the ledger's clock.

        A rolling window is told of once in its length.
        """
        limit = account.limit
        if limit.kind is not Kind.BUDGET or not limit.warn or spent < limit.warn[0] * limit.amount:
            return
        turn = now // (span.bucket * BUCKETS) if span.bucket else 0
        name = f"{account_name(account, span)}:{limit.amount}:{turn}"
        share = max(each for each in limit.warn if spent >= each * limit.amount)
        if self._told.get(name, 0.0) >= share:
            return
        if len(self._told) >= _REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[name] = share
        self.crossed += 1
        self._tell(f"warned:{name}:{share}", _message(account, span, spent, share))


def _message(account: Account, span: Span, spent: int, share: float) -> dict[str, object]:
    limit = account.limit
    is_money = limit.unit is Unit.USD
    return {
        "event": "budget.threshold",
        "share": share,
        "level": level(account),
        "subject": account.subject,
        "unit": limit.unit.value,
        "window": str(limit.window),
        "window_id": span.id,
        "mode": "hard" if limit.hard else "soft",
        "spent": usd(spent) if is_money else spent,
        "limit": usd(limit.amount) if is_money else limit.amount,
    }
