"""One SQLite file in WAL mode, spoken to from one dedicated thread."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.store.breaker import Breaker
from gateway.store.contract import OpenError, away

LIMIT = 1.0
"""Seconds a caller waits at most."""
BUSY = 0.5
"""Seconds SQLite waits for another process that is writing."""
WAITING = 1000
"""Commands that may wait for the thread."""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True)
class _Failed:
    error: sqlite3.Error


class Database:
    """Runs blocking work on the file, one piece after the other, away from the event loop."""

    def __init__(self, path: Path, schema: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmgw-store")
        self._waiting = 0
        self.is_damaged = False
        self._breaker = Breaker(path.name, time.monotonic)
        try:
            self._connection = self._thread.submit(connect, path, schema).result()
        except (OSError, sqlite3.Error) as error:
            self._thread.shutdown()
            raise OpenError(f"{path}: {error}; is the folder writable?") from error

    async def run(self, work: Work[T]) -> T:
        """What `work` returns. Once begun it is done, even when the caller has given up. Raises Overloaded."""
        if self._waiting >= WAITING or not self._breaker.admits():
            raise away()
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._attempt, work)
        future.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(LIMIT):
                result = await asyncio.shield(future)
        except TimeoutError:
            self._breaker.failed("no answer in time")
            raise away() from None
        if isinstance(result, _Failed):
            self._breaker.failed(result.error)
            raise away()
        self._breaker.succeeded()
        return result

    async def write(self, work: Work[T], *, durable: bool = False) -> T:
        """As `run`, in one transaction. `durable` waits until the disk has it; else a power cut may undo it."""
        return await self.run(lambda connection: _transaction(connection, work, durable=durable))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    def _attempt(self, work: Work[T]) -> T | _Failed:
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            self.is_damaged = self.is_damaged or tells_damage(error)
            return _Failed(error)

    def _ended(self, _: object) -> None:
        self._waiting -= 1


def tells_damage(error: BaseException | None) -> bool:
    """Whether it says that the file is not as it was written."""
    code: object = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in DAMAGE


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """Opens the file, readable by its owner alone, and makes what `schema` says. Raises OSError and sqlite3.Error."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        _enter_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        with _begun(connection):
            for statement in schema.split(";"):
                connection.execute(statement)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Changing the mode ignores the busy timeout, so workers that start together take turns here."""
    patience = time.monotonic() + 5.0
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.01)
        else:
            return


def _transaction(connection: sqlite3.Connection, work: Work[T], *, durable: bool) -> T:
    if not durable:
        with _begun(connection):
            return work(connection)
    connection.execute("PRAGMA synchronous=FULL")
    try:
        with _begun(connection):
            return work(connection)
    finally:
        connection.execute("PRAGMA synchronous=NORMAL")


@contextmanager
def _begun(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
