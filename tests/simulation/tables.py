"""A ledger's rows that can be taken back to what they were some requests ago, as a failover does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from gateway.core.ledger.account import Account
from gateway.core.ledger.book import Gone, Open

T = TypeVar("T")

REMEMBERED = 300
"""Requests that can be undone."""


@dataclass(frozen=True, slots=True)
class _Request:
    at: float
    changes: list[Callable[[], None]]


class Undo:
    """What the latest requests have changed."""

    def __init__(self) -> None:
        self._requests: deque[_Request] = deque(maxlen=REMEMBERED)
        self.forget()

    def begin(self, at: float) -> None:
        self._requests.append(_Request(at, []))

    def changed(self, back: Callable[[], None]) -> None:
        self._requests[-1].changes.append(back)

    def undo(self, requests: int, *, since: float) -> int:
        """Takes back so many requests at most, and none of before `since`. How many changes that were."""
        count = 0
        while requests and self._requests and self._requests[-1].at >= since:
            changes = self._requests.pop().changes
            requests -= 1
            count += len(changes)
            for back in reversed(changes):
                back()
        return count

    def forget(self) -> None:
        self._requests.clear()
        self._requests.append(_Request(-1.0, []))


class Table(dict[str, T]):
    """What is taken out is a copy: a change counts only when the row is assigned again."""

    def __init__(self, undo: Undo, copied: Callable[[T], T]) -> None:
        super().__init__()
        self._undo = undo
        self._copied = copied

    def __getitem__(self, name: str) -> T:
        return self._copied(super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        return self._copied(super().__getitem__(name)) if name in self else default

    def __setitem__(self, name: str, row: T) -> None:
        self._note(name)
        super().__setitem__(name, row)

    def __delitem__(self, name: str) -> None:
        self._note(name)
        super().__delitem__(name)

    def _note(self, name: str) -> None:
        if name in self:
            before = super().__getitem__(name)
            self._undo.changed(lambda: super(Table, self).__setitem__(name, before))
        else:
            self._undo.changed(lambda: super(Table, self).__delitem__(name))


class Rows:
    """book.Tables; and what else the ledger keeps: `meta`, `owners` and `ready` as in gateway/store/redis/lua/ledger.lua.

    `ends` and `charged` are the invariants' own: how each id ended, and what accounts were charged in all.
    """

    def __init__(self) -> None:
        self.undo = Undo()
        self.before_forgetting: Callable[[], None] = lambda: None
        self.accounts: Table[Account] = Table(self.undo, lambda row: replace(row, buckets=dict(row.buckets)))
        self.open: Table[Open] = Table(self.undo, lambda row: replace(row, parts=[replace(part) for part in row.parts]))
        self.gone: Table[Gone] = Table(self.undo, replace)
        self.meta: Table[str] = Table(self.undo, _same)
        self.owners: Table[int] = Table(self.undo, _same)
        self.ready: Table[str] = Table(self.undo, _same)
        self.ends: Table[str] = Table(self.undo, _same)
        self.charged: Table[int] = Table(self.undo, _same)

    def expired(self, now: int, most: int) -> list[str]:
        found = sorted((opened.until, id) for id, opened in self.open.items() if opened.until <= now)
        return [id for _, id in found[:most]]

    def forget(self, now: int) -> None:
        self.before_forgetting()
        if now >= int(self.meta.get("since", 0)) + 180_000:  # as Ledger.forget_ids
            for id in [id for id, gone in self.gone.items() if gone.until <= now]:
                del self.gone[id]
        for name in [name for name, account in self.accounts.items() if account.due(now) <= now]:
            del self.accounts[name]

    def clear(self) -> None:
        for table in (self.accounts, self.open, self.gone, self.meta, self.owners, self.ready, self.ends, self.charged):
            table.clear()
        self.undo.forget()


def _same(row: T) -> T:
    return row
