"""What the workers of one machine tell each other of their metrics: a file of each, which the one that is scraped reads.

The files of one run of the gateway are in a folder of their own, below `metrics` in the data folder, which is locked as long
as any of its processes lives: a folder that is not has been left behind.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from gateway.trace.metrics.series import Totals, decoded, encode, merge

FOLDER = "metrics"

log = logging.getLogger("llmgw.trace")


class Run:
    """One run of the gateway, begun before its workers are forked, which then hold the lock too."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock

    def close(self) -> None:
        """Called when all workers have ended."""
        os.close(self._lock)
        shutil.rmtree(self.folder, ignore_errors=True)


def begin_run(data_folder: Path) -> Run:
    """Removes what earlier runs have left, but nothing of one that still goes on. Raises OSError."""
    parent = data_folder / FOLDER
    parent.mkdir(parents=True, exist_ok=True)
    turn = _locked(parent, fcntl.LOCK_EX)  # or another run might remove ours before it is locked
    try:
        for left in parent.iterdir():
            _remove(left)
        folder = parent / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        return Run(folder, _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB))
    finally:
        os.close(turn)


def _remove(folder: Path) -> None:
    with suppress(OSError):  # that run goes on
        os.close(_locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB))
        shutil.rmtree(folder)


def _locked(folder: Path, how: int) -> int:
    """The descriptor that holds the lock. Raises OSError."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, how)
    except OSError:
        os.close(lock)
        raise
    return lock


class Told(msgspec.Struct):
    """A worker's file: its process, what it has counted, and what those counted that had its number before."""

    process: int
    own: msgspec.Raw
    before: msgspec.Raw


class Share:
    """Worker `number`'s part in telling. Whatever fails is no reason to end: figures are then older than they could be."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._path = folder / f"worker-{number}"
        self._before = msgspec.Raw(encode(Totals()))
        self._written = b""
        self._failing = False
        told = _read(self._path)
        if told is not None:
            totals = Totals()
            for part in (told.before, told.own):
                merge(totals, decoded(part))
            totals.gauges.clear()
            self._before = msgspec.Raw(encode(totals))

    def write(self, own: bytes) -> None:
        """Tells the others what this worker's totals are, as `encode` gives them."""
        if own == self._written:
            return
        aside = self._path.with_suffix(f".{os.getpid()}")
        try:
            aside.write_bytes(encode(Told(os.getpid(), msgspec.Raw(own), self._before)))
            aside.replace(self._path)
        except OSError as error:
            if not self._failing:
                log.error("metrics cannot be told to the other workers", extra={"reason": str(error)})
            self._failing = True
            return
        self._written, self._failing = own, False

    def read(self) -> Totals:
        """Of all workers together; gauges only of those that live."""
        totals = Totals()
        for told in self._all():
            own = decoded(told.own)
            if not _lives(told.process):
                own.gauges.clear()
            merge(totals, decoded(told.before))
            merge(totals, own)
        return totals

    def _all(self) -> Iterator[Told]:
        for path in sorted(self._folder.glob("worker-*")):
            if not path.suffix and (told := _read(path)) is not None:
                yield told


def _read(path: Path) -> Told | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Told)
    except (OSError, msgspec.MsgspecError):
        return None


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
