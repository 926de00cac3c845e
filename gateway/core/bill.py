"""What answers cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.usage import Usage


@dataclass(frozen=True, slots=True)
class Bill:
    """Of one answer, or of all that were made for a call. `cost` in nano-USD; None when no deployment had a price."""

    usage: Usage
    cost: int | None


def total(bills: Iterable[Bill]) -> Bill | None:
    """The sum; an answer without a price adds its tokens. None of none."""
    usage: Usage | None = None
    cost: int | None = None
    for bill in bills:
        usage = bill.usage if usage is None else usage + bill.usage
        cost = bill.cost if cost is None else cost + (bill.cost or 0)
    return None if usage is None else Bill(usage, cost)
