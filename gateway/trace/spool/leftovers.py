"""Takes over what workers that died have left: their records, and the calls that they were answering."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import orjson

from gateway.trace.sink import Line
from gateway.trace.spool.files import FOLDER, LINES, LOCK, NOTES
from gateway.trace.spool.orphan import orphan
from gateway.trace.sqlite.entry import foreign

BATCH = 500
LARGEST = 8 * 1024 * 1024
"""Records that are added at once, and their bytes."""
LONGEST = 16 * 1024 * 1024
"""Bytes of a line that are read: no record of ours is so long."""

Add = Callable[[Sequence[Line]], Sequence[Line]]
log = logging.getLogger("llmgw.trace")


def take_over(data_folder: Path, add: Add, is_ending: Callable[[], bool] = lambda: False) -> list[Line]:
    """Adds what is left behind, and removes it; the new records of calls that nobody ended.

    `add` gives those that are new, or raises OSError: then all is left for the next time, as it is once `is_ending`.
    """
    orphans: list[Line] = []
    for folder in sorted((data_folder / FOLDER).glob("[!.]*")):
        lock = _locked(folder)
        if lock is None:
            continue
        try:
            before, count = len(orphans), 0
            for batch in _batches(folder):
                if is_ending():
                    return orphans
                found = add(batch)
                count += len(found)
                orphans += [line for line in found if line.row.get("outcome") == "orphaned"]
            shutil.rmtree(folder, ignore_errors=True)
            told = {"records": count, "orphans": len(orphans) - before}
            log.warning("a worker's call records were taken over", extra=told)
        except OSError as error:
            log.error("a worker's call records cannot be taken over", extra={"reason": str(error)})
        finally:
            os.close(lock)
    return orphans


def _locked(folder: Path) -> int | None:
    """None: its worker lives, or another has just taken care of it."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.is_dir():
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _batches(folder: Path) -> Iterator[Sequence[Line]]:
    """Records first: the note of a call that has one is not needed."""
    batch: list[Line] = []
    size = 0
    for line in chain(_records(folder), _orphans(folder)):
        batch.append(line)
        size += len(line.json)
        if len(batch) >= BATCH or size >= LARGEST:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _records(folder: Path) -> Iterator[Line]:
    """A torn line is one whose writer died."""
    for name in LINES:
        for json in _lines(folder / name):
            if (line := foreign(json)) is not None:
                yield line


def _orphans(folder: Path) -> Iterator[Line]:
    """Of several notes of a call the last holds."""
    latest: dict[tuple[object, object], Line] = {}
    for json in _lines(folder / NOTES):
        try:
            line = foreign(orjson.dumps(orphan(orjson.loads(json))))
        except (KeyError, ValueError, TypeError):
            continue
        if line is not None:
            latest[line.row["id"], line.row["span_id"]] = line
    yield from latest.values()


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST):
                yield line.rstrip(b"\n")
    except FileNotFoundError:
        return
