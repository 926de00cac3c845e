"""Budgets and rates as the admin API shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.core.ledger.operations import NEVER, Balance
from gateway.core.money import usd

_NAME = re.compile(
    r"(?P<level>[a-z]+):(?P<subject>.*):(?P<unit>usd|tokens|requests|calls)(?P<models>\[.*\])?/(?P<window>[^|]+)\|(?P<id>.*)",
    re.DOTALL,
)


Row = dict[str, object]


def rows(balances: Sequence[Balance], limits: Mapping[str, int], *, now: float) -> list[Row]:
    """One row for each account in a window that has not ended; money in nano-USD and as a decimal number of dollars.

    `limits` are those of the policy by account, for soft budgets: the ledger keeps no limit that it does not enforce.
    """
    current = [each for each in balances if each.end > now * 1000]
    return [_row(each, limits) for each in sorted(current, key=lambda each: each.account)]


def _row(balance: Balance, limits: Mapping[str, int]) -> Row:
    found = _NAME.fullmatch(balance.account)
    named = found.groupdict() if found is not None else {}
    limit = limits.get(balance.account) if balance.limit is None else balance.limit
    amounts = {
        "limit": limit,
        "settled": balance.base + balance.settled,
        "overdraft": balance.over,
        "held": balance.held - balance.escrowed,
        "escrowed": balance.escrowed,
        "left": None if limit is None else max(0, limit - balance.spent - balance.held),
    }
    is_money = named.get("unit") == "usd"
    in_usd = {f"{name}_usd": usd(value) for name, value in amounts.items() if is_money and value is not None}
    return {
        "account": balance.account,
        "level": named.get("level"),
        "subject": named.get("subject"),
        "unit": named.get("unit"),
        "models": (named.get("models") or "[]").strip("[]").split(",") if named.get("models") else [],
        "window": named.get("window"),
        "window_id": named.get("id") or None,
        "mode": "soft" if balance.limit is None else "hard",
        **amounts,
        **in_usd,
        "begins": balance.begin / 1000 if balance.begin else None,
        "resets": balance.end / 1000 if balance.end < NEVER else None,
        "rolling_seconds": balance.bucket * 60 // 1000 or None,
    }
