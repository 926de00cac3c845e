"""Takes over what workers that died have left: their records, and the calls that they were answering."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from gateway.trace.sink import Line
from gateway.trace.spool.files import FOLDER, LINES, LOCK, NOTES
from gateway.trace.spool.orphan import orphan

BATCH = 500

log = logging.getLogger("llmgw.trace")


def take_over(data_folder: Path, add: Callable[[Sequence[Line]], Sequence[Line]]) -> list[Line]:
    """Adds what is left behind, and removes it; what was new of it. `add` raises OSError: then it is left for the next time."""
    added: list[Line] = []
    for folder in sorted((data_folder / FOLDER).glob("[!.]*")):
        lock = _locked(folder)
        if lock is None:
            continue
        try:
            found: list[Line] = []
            for batch in _batches(folder):
                found += add(batch)
            shutil.rmtree(folder, ignore_errors=True)
            orphans = sum(line.row.get("outcome") == "orphaned" for line in found)
            log.warning("a worker's call records were taken over", extra={"records": len(found), "orphans": orphans})
            added += found
        except OSError as error:
            log.error("a worker's call records cannot be taken over", extra={"reason": str(error)})
        finally:
            os.close(lock)
    return added


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
    for line in (*_records(folder), *_orphans(folder)):
        batch.append(line)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _records(folder: Path) -> Iterator[Line]:
    for name in LINES:
        for row, json in _rows(folder / name):
            yield Line(row, json)


def _orphans(folder: Path) -> Iterator[Line]:
    for note, _ in _rows(folder / NOTES):
        try:
            row = orphan(note)
        except (KeyError, ValueError, TypeError):
            continue
        yield Line(row, orjson.dumps(row))


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """A torn line is one whose writer died."""
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                if isinstance(row, dict):
                    yield row, line.rstrip(b"\n")
    except FileNotFoundError:
        return
