"""The ledger in the embedded store: one transaction for each batch.

Leases run by the machine's monotonic clock, which all workers share and which nobody sets; after a boot it means
something else, and every reservation of before has expired.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from gateway.core.clock import Clock
from gateway.core.ledger import book
from gateway.core.ledger.account import KEPT, Account
from gateway.core.ledger.book import Gone, Open
from gateway.core.ledger.operations import Applied, Balance, Corrupt, Draw, Line, Once, Operation, Outcome, Sweep
from gateway.store.sqlite.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger_accounts(name TEXT PRIMARY KEY, due INTEGER NOT NULL, row BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_accounts_due ON ledger_accounts(due);
CREATE TABLE IF NOT EXISTS ledger_open(name TEXT PRIMARY KEY, due INTEGER NOT NULL, row BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_open_due ON ledger_open(due);
CREATE TABLE IF NOT EXISTS ledger_gone(name TEXT PRIMARY KEY, due INTEGER NOT NULL, row BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_gone_due ON ledger_gone(due);
CREATE TABLE IF NOT EXISTS ledger_boot(id TEXT NOT NULL)
"""
BOOT = Path("/proc/sys/kernel/random/boot_id")
IDS_FORGOTTEN = 5000
"""Ids forgotten at most by one sweep."""
ACCOUNTS_FORGOTTEN = 100
"""Accounts looked at by one sweep, whether they can be forgotten."""
POSTPONED = 60_000
"""Milliseconds until a reservation that cannot be swept, for a row it needs cannot be read, is tried again."""

T = TypeVar("T")


class SqliteLedger:
    """See contract.LedgerStore. This one is never rebuilt: what it has answered for is in the file."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def apply(self, operations: Sequence[Operation]) -> Applied:
        return await self._database.write(lambda connection: self._apply(connection, operations))

    async def balances(self) -> Sequence[Balance]:
        now = _milliseconds(self._clock.now())

        def work(connection: sqlite3.Connection) -> Sequence[Balance]:
            rows = _readable(connection, "ledger_accounts", Account)
            return [account.balance(name, now) for name, account in rows]

        return await self._database.run(work)

    async def open_reservations(self) -> Mapping[str, str]:
        def work(connection: sqlite3.Connection) -> Mapping[str, str]:
            return {id: opened.owner for id, opened in _readable(connection, "ledger_open", Open)}

        return await self._database.run(work)

    async def announce(self, owner: str) -> None:
        """Nobody needs to know."""

    async def restore(self, owner: str, operations: Sequence[Operation], balances: Sequence[Balance]) -> bool:
        return True

    def _apply(self, connection: sqlite3.Connection, operations: Sequence[Operation]) -> Applied:
        now, lease_now = _milliseconds(self._clock.now()), _milliseconds(self._clock.monotonic())
        rows = _Rows(connection, now)
        rows.load(operations)
        outcomes: list[Outcome] = []
        for operation in operations:
            row = rows.unreadable(operation)
            outcome = book.apply(rows, operation, now=now, lease_now=lease_now) if row is None else Corrupt(row)
            outcomes.append(outcome)
        rows.save()
        return Applied(now, tuple(outcomes))


def note_boot(connection: sqlite3.Connection, boot: str | None = None) -> None:
    """Ends the lease of every reservation of before the machine was started, in a transaction of the caller's."""
    boot = boot or (BOOT.read_text().strip() if BOOT.exists() else "unknown")
    if connection.execute("SELECT id FROM ledger_boot").fetchone() == (boot,):
        return
    connection.execute("UPDATE ledger_open SET due = 0")
    connection.execute("DELETE FROM ledger_boot")
    connection.execute("INSERT INTO ledger_boot VALUES(?)", (boot,))


class _Table(dict[str, T], Generic[T]):
    """The rows of one table that a batch needs: read before it, and what was changed is written after it."""

    def __init__(self, connection: sqlite3.Connection, name: str, kind: type[T], due: Callable[[T], int]) -> None:
        super().__init__()
        self._connection = connection
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._due = due
        self._read = f"SELECT name, row FROM {name} WHERE name IN (SELECT value FROM json_each(?))"
        self._write = (
            f"INSERT INTO {name} VALUES(?, ?, ?) ON CONFLICT(name) DO UPDATE SET due = excluded.due, row = excluded.row"
        )
        self._remove = f"DELETE FROM {name} WHERE name = ?"
        self._known: set[str] = set()
        self._changed: set[str] = set()
        self.corrupt: set[str] = set()

    def __setitem__(self, name: str, row: T) -> None:
        self._changed.add(name)
        super().__setitem__(name, row)

    def __delitem__(self, name: str) -> None:
        self._changed.add(name)
        super().__delitem__(name)

    def load(self, names: Iterable[str]) -> None:
        missing = [name for name in names if name not in self._known]
        if not missing:
            return
        self._known.update(missing)
        for name, row in self._connection.execute(self._read, (json.dumps(missing),)):
            try:
                super().__setitem__(name, self._decode(row))
            except (msgspec.DecodeError, TypeError):
                self.corrupt.add(name)

    def save(self) -> None:
        put = [(name, self._due(self[name]), _encode(self[name])) for name in self._changed if name in self]
        if put:
            self._connection.executemany(self._write, put)
        if gone := [(name,) for name in self._changed if name not in self]:
            self._connection.executemany(self._remove, gone)
        self._changed.clear()


class _Rows:
    """book.Tables over the file, for one batch."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self.accounts = _Table(connection, "ledger_accounts", Account, lambda account: account.due(now))
        self.open = _Table(connection, "ledger_open", Open, lambda opened: opened.until)
        self.gone = _Table(connection, "ledger_gone", Gone, lambda gone: gone.until)

    def load(self, operations: Iterable[Operation]) -> None:
        """Everything that the operations name, in three questions."""
        ids = {operation.id for operation in operations if not isinstance(operation, Sweep)}
        self.open.load(ids)
        self.gone.load(ids - self.open.keys())
        named = {line.account for operation in operations for line in _lines(operation)}
        self.accounts.load(named | {part.account for id in ids & self.open.keys() for part in self.open[id].parts})

    def unreadable(self, operation: Operation) -> str | None:
        """The row that the operation needs and that cannot be read; None: there is none."""
        if isinstance(operation, Sweep):
            return None
        if operation.id in self.open.corrupt or operation.id in self.gone.corrupt:
            return operation.id
        if not self.accounts.corrupt:
            return None
        named = {line.account for line in _lines(operation)} | self._parts(operation.id)
        return min(named & self.accounts.corrupt, default=None)

    def save(self) -> None:
        self.accounts.save()
        self.open.save()
        self.gone.save()

    def expired(self, now: int, most: int) -> list[str]:
        """As book.Tables; those that cannot be settled, for a row cannot be read, are put off."""
        self.save()
        query = "SELECT name FROM ledger_open WHERE due <= ? ORDER BY due, name LIMIT ?"
        found = [id for (id,) in self._connection.execute(query, (now, most))]
        self.open.load(found)
        self.accounts.load({account for id in found for account in self._parts(id)})
        spoiled = [
            id for id in found if id in self.open.corrupt or not self.accounts.corrupt.isdisjoint(self._parts(id))
        ]
        put_off = "UPDATE ledger_open SET due = ? WHERE name = ?"
        self._connection.executemany(put_off, [(now + POSTPONED, id) for id in spoiled])
        return [id for id in found if id not in spoiled]

    def forget(self, now: int) -> None:
        ids = "DELETE FROM ledger_gone WHERE name IN (SELECT name FROM ledger_gone WHERE due <= ? LIMIT ?)"
        self._connection.execute(ids, (now, IDS_FORGOTTEN))
        query = "SELECT name FROM ledger_accounts WHERE due <= ? LIMIT ?"
        found = [name for (name,) in self._connection.execute(query, (now, ACCOUNTS_FORGOTTEN))]
        self.accounts.load(found)
        for name in found:
            account = self.accounts.get(name)
            if account is not None and account.due(now) <= now:
                del self.accounts[name]
            elif account is not None:
                self.accounts[name] = account
        put_off = "UPDATE ledger_accounts SET due = ? WHERE name = ?"
        self._connection.executemany(put_off, [(now + KEPT, name) for name in found if name in self.accounts.corrupt])

    def _parts(self, id: str) -> set[str]:
        opened = self.open.get(id)
        return set() if opened is None else {part.account for part in opened.parts}


def _lines(operation: Operation) -> Sequence[Line]:
    match operation:
        case Draw():
            return (operation.line,)
        case Sweep() | Once():
            return ()
        case _:
            return operation.lines


def _readable(connection: sqlite3.Connection, table: str, kind: type[T]) -> Iterator[tuple[str, T]]:
    decode = msgspec.msgpack.Decoder(kind).decode
    for name, row in connection.execute(f"SELECT name, row FROM {table}"):
        try:
            yield name, decode(row)
        except (msgspec.DecodeError, TypeError):
            continue


_encode = msgspec.msgpack.encode


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
