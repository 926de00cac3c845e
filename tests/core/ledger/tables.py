"""A ledger's rows in dicts. What is taken out is a copy: a change counts only when the row is assigned again."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

from gateway.core.ledger.account import Account
from gateway.core.ledger.book import Gone, Open
from gateway.core.ledger.operations import Balance

T = TypeVar("T")


class Table(dict[str, T]):
    def __getitem__(self, name: str) -> T:
        return deepcopy(super().__getitem__(name))

    def get(self, name: str, default: T | None = None) -> T | None:  # type: ignore[override]
        return deepcopy(super().get(name, default))

    def __setitem__(self, name: str, row: T) -> None:
        super().__setitem__(name, deepcopy(row))


class DictTables:
    """book.Tables."""

    def __init__(self) -> None:
        self.accounts: Table[Account] = Table()
        self.open: Table[Open] = Table()
        self.gone: Table[Gone] = Table()

    def expired(self, now: int, most: int) -> list[str]:
        found = sorted((opened.until, id) for id, opened in self.open.items() if opened.until <= now)
        return [id for _, id in found[:most]]

    def forget(self, now: int) -> None:
        for id in [id for id, gone in self.gone.items() if gone.until <= now]:
            del self.gone[id]
        for name in [name for name, account in self.accounts.items() if account.due(now) <= now]:
            del self.accounts[name]

    def balances(self, now: int) -> list[Balance]:
        """Every account in which something is held or spent."""
        found = [self.accounts[name].balance(name, now) for name in self.accounts]
        return [balance for balance in found if balance.held or balance.spent]
