"""A worker's copy of the orders to forget kept answers.

An answer may be used while `is_current`, and if the copy does not kill it. Numbers only grow, so an answer with a larger
number than the last order known here was made by somebody who knows more, or under orders that the store has lost: it is
not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

from gateway.core.purge import Marked, Purge

MISSED = 1.0
"""Seconds after which orders may have been missed by who has not heard from the store."""

_MARKS = tuple(each.name for each in fields(Purge) if each.name != "number")


class Orders(Protocol):
    """Where the orders are kept."""

    async def orders(self) -> Sequence[Purge]:
        """By number. Raises Overloaded."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    """`all_before`: what everybody made before that order is forgotten; `org_before`: the same for one organisation, `before`
    for one answer; `others` stand under the organisation they name, or None, the last order first."""

    all_before: int = 0
    org_before: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[str | None, Sequence[Purge]] = field(default_factory=dict)


class Purges:
    def __init__(self, store: Orders) -> None:
        self._store = store
        self._known = _Known()
        self._heard = -math.inf
        self.number = 0
        """Of the last order that is known: what a call that begins now carries."""

    def is_current(self, now: float) -> bool:
        """Whether every order is known that was given a second ago. `now` is monotonic."""
        return now - self._heard <= MISSED

    def kills(self, entry: Marked) -> bool:
        """Whether the answer may not be used."""
        made = entry.purges
        known = self._known
        if made > self.number or made < known.all_before:
            return True
        if made < known.org_before.get(entry.org, 0) or made < known.before.get(entry.id, 0):
            return True
        return made < self.number and (self._fits_another(None, entry) or self._fits_another(entry.org, entry))

    async def refresh(self, last: int, asked: float) -> None:
        """Reads the orders; `last` is the number of the last one, as the store told at `asked` (monotonic). Raises Overloaded."""
        orders = await self._store.orders()
        number = max([last, *(order.number for order in orders)])
        if number < self.number:
            return  # somebody has read a longer list in the meantime
        self.number, self._known = number, _arranged(orders)
        self.confirm(asked)

    def confirm(self, asked: float) -> None:
        """There was no other order at `asked` (monotonic)."""
        self._heard = max(self._heard, asked)

    def _fits_another(self, org: str | None, entry: Marked) -> bool:
        for order in self._known.others.get(org, ()):
            if order.number <= entry.purges:
                return False
            if order.fits(entry):
                return True
        return False


def _arranged(orders: Iterable[Purge]) -> _Known:
    all_before = 0
    org_before: dict[str, int] = {}
    before: dict[str, int] = {}
    others: dict[str | None, list[Purge]] = {}
    for order in sorted(orders, key=lambda order: -order.number):
        marks = [name for name in _MARKS if getattr(order, name) is not None]
        if not marks:
            all_before = max(all_before, order.number)
        elif marks == ["org"] and order.org is not None:
            org_before.setdefault(order.org, order.number)
        elif marks == ["entry"] and order.entry is not None:
            before.setdefault(order.entry, order.number)
        else:
            others.setdefault(order.org, []).append(order)
    return _Known(all_before, org_before, before, others)
