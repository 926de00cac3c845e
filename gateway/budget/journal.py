"""What this worker has spent and the ledger may not know yet, on the local disk: a worker that dies takes no money with it.

Each entry is the settlement that ends a reservation at what has been used of it so far; the last entry of an id holds. They
reach the disk within EVERY seconds. The next worker that starts here tells the ledger what it finds in the files of workers
that are gone; to tell it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from gateway.core.ledger.operations import Settle

EVERY = 0.05
LARGEST = 32 * 1024 * 1024
"""Bytes after which a file is begun again with what is still open."""
KEPT = 1024 * 1024
"""Bytes that are kept for a disk that fails; of more, only what is open is written once it works again."""
FOLDER = "ledger"
_HEAD = 8

log = logging.getLogger("llmgw.budget")

_encode = msgspec.msgpack.Encoder().encode
_Heard = tuple[int, tuple[str, ...]]
_decode = msgspec.msgpack.Decoder(Settle | _Heard).decode


class Journal:
    """Opened by `open_journal`. `open` gives the settlements of all that is open; a disk that fails is logged once."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._pending: list[bytes] = []
        self._amounts: dict[str, tuple[int, ...]] = {}
        self._size = 0
        self._is_failing = False
        self._writing = asyncio.Lock()

    def note(self, settled: Settle) -> None:
        """Something has been settled for good, and is being told."""
        self._pending.append(_frame(settled))

    def heard(self, ids: Sequence[str], now: int) -> None:
        """The ledger has settled these, at `now` by its clock."""
        self._pending.append(_frame((now, tuple(ids))))

    async def run(self, open: Callable[[], Iterable[Settle]]) -> None:
        """Writes until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.write(open)

    async def write(self, open: Callable[[], Iterable[Settle]]) -> None:
        async with self._writing:
            if not self._file.closed:
                await self._write(open)

    async def close(self, *, heard: bool) -> None:
        """`heard`: the ledger knows everything, so the file can go."""
        async with self._writing:
            if heard:
                self._path.unlink(missing_ok=True)
            self._file.close()

    async def _write(self, open: Callable[[], Iterable[Settle]]) -> None:
        amounts: dict[str, tuple[int, ...]] = {}
        for settle in open():
            amounts[settle.id] = used = tuple([line.amount for line in settle.lines])
            before = self._amounts.get(settle.id)
            if used != before and (before is not None or any(used)):
                self._pending.append(_frame(settle))
        self._amounts = amounts
        if not self._pending:
            return
        data = b"".join(self._pending)
        self._pending.clear()
        is_full = self._size + len(data) > LARGEST
        if is_full:
            data = b"".join(_frame(settle) for settle in open())
        try:
            await asyncio.to_thread(self._append, data, is_full)
            self._is_failing = False
        except OSError as error:
            self._amounts.clear()  # what is open is written again
            if len(data) <= KEPT:
                self._pending.insert(0, data)
            if not self._is_failing:
                log.error("the budget journal cannot be written", extra={"reason": str(error)})
            self._is_failing = True

    def _append(self, data: bytes, begin_again: bool) -> None:
        if begin_again:
            self._file.truncate(0)
            self._size = 0
        try:
            if self._file.write(data) < len(data):
                raise OSError(errno.ENOSPC, "the disk took only a part of it")
            self._file.flush()
            os.fdatasync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)  # whoever reads it would stop at a torn entry
            raise
        self._size += len(data)


def open_journal(data_folder: Path, owner: str) -> Journal:
    """A file of this worker's own, locked while it lives. Raises OSError."""
    folder = data_folder / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{owner.replace('/', '_')}.journal"
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Journal(path, file)


def left_behind(data_folder: Path, since: int) -> Iterator[tuple[Path, list[Settle]]]:
    """The files of workers that are gone, and what they had settled. Remove each once the ledger has heard it.

    What the ledger had heard before `since` is left out: it would take an id that it has forgotten for a new one.
    """
    for path in sorted((data_folder / FOLDER).glob("*.journal")):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path, list(_settlements(file.read(), since).values())
        except OSError:
            continue  # its worker lives, or another has just taken care of it


def _settlements(data: bytes, since: int) -> dict[str, Settle]:
    """The last entry of each id; a torn or odd one ends them, for there its writer died."""
    found: dict[str, Settle] = {}
    at = 0
    while at + _HEAD <= len(data):
        size, sum = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + _HEAD], "big")
        entry = data[at + _HEAD : at + _HEAD + size]
        if len(entry) < size or zlib.crc32(entry) != sum:
            break
        try:
            read = _decode(entry)
        except msgspec.MsgspecError:
            break
        if isinstance(read, Settle):
            found.pop(read.id, None)
            found[read.id] = read
        elif read[0] < since:
            for id in read[1]:
                found.pop(id, None)
        at += _HEAD + size
    return found


def _frame(written: Settle | _Heard) -> bytes:
    entry = _encode(written)
    return len(entry).to_bytes(4, "big") + zlib.crc32(entry).to_bytes(4, "big") + entry
