"""A file that may be lost: a damaged one is set aside and begun anew, by whichever worker sees it first; the others follow.

SQLite itself leaves the files of a database alone that has been renamed, so that who still has the old one open harms nobody.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.store.contract import OpenError, away
from gateway.store.sqlite.database import Database, Work, tells_damage

AGAIN = 2.0
"""Seconds between two attempts to open it."""

log = logging.getLogger("llmgw.store")
T = TypeVar("T")


@dataclass(slots=True)
class _Opened:
    database: Database
    reader: sqlite3.Connection
    inode: int
    is_damaged: bool = False


class Replaceable:
    """A Database, and a connection beside it for short reads on the event loop. Opening it never raises: it is tried again."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._opening = asyncio.Lock()
        self._next_try = 0.0
        self._is_told = False
        self._opened: _Opened | None = None

    async def follow(self) -> None:
        """Opens the file again when it was replaced or is damaged. Never raises."""
        if self._is_well():
            return
        async with self._opening:
            if self._is_well() or time.monotonic() < self._next_try:
                return
            former, self._opened = self._opened, None
            self._opened = await asyncio.to_thread(self._open, former)
            if former is not None:
                former.reader.close()
                await former.database.close()

    def read(self, query: str, values: Sequence[object] = ()) -> Any:
        """The first row, or None, without ever waiting for a writer. Raises Overloaded."""
        if self._opened is None:
            raise away()
        try:
            return self._opened.reader.execute(query, values).fetchone()
        except sqlite3.Error as error:
            self._opened.is_damaged = self._opened.is_damaged or tells_damage(error)
            raise away() from None

    async def run(self, work: Work[T]) -> T:
        """As Database.run."""
        return await (await self._database()).run(work)

    async def write(self, work: Work[T], *, durable: bool = False) -> T:
        """As Database.write; what is durable is also in the file that the others see. Raises Overloaded."""
        database = await self._database()
        done = await database.write(work, durable=durable)
        if durable and not self._is_well():
            raise away()
        return done

    async def close(self) -> None:
        async with self._opening:
            if self._opened is not None:
                self._opened.reader.close()
                await self._opened.database.close()
                self._opened = None

    async def _database(self) -> Database:
        await self.follow()
        if self._opened is None:
            raise away()
        return self._opened.database

    def _is_well(self) -> bool:
        opened = self._opened
        if opened is None or opened.is_damaged or opened.database.is_damaged:
            return False
        return _inode(self._path) == opened.inode

    def _open(self, former: _Opened | None) -> _Opened | None:
        self._next_try = time.monotonic() + AGAIN
        try:
            with _alone(self._path.parent):
                if former is not None and _inode(self._path) == former.inode:
                    self._set_aside()
                elif _inode(self._path) is None:
                    self._remove_beside()
                opened = self._connect()
        except (OSError, OpenError, sqlite3.Error) as error:
            if not self._is_told:
                log.error("the cache's file cannot be opened; nothing is cached", extra={"reason": str(error)})
            self._is_told = True
            return None
        self._next_try, self._is_told = 0.0, False
        return opened

    def _connect(self) -> _Opened:
        try:
            database = Database(self._path, self._schema)
        except OpenError as error:
            if not tells_damage(error.__cause__):
                raise
            self._set_aside()
            database = Database(self._path, self._schema)
        reader = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        reader.execute("PRAGMA query_only=ON")
        return _Opened(database, reader, self._path.stat().st_ino)

    def _set_aside(self) -> None:
        aside = self._path.with_name(self._path.name + ".damaged")
        self._path.rename(aside)
        self._remove_beside()
        log.error("the cache's file was damaged and is begun anew", extra={"aside": str(aside)})

    def _remove_beside(self) -> None:
        """What a file that is gone has left: who has that one open still uses it, and it fits no other."""
        for end in ("-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One worker at a time."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
