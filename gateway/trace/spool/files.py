"""The spool: what a worker has not yet in the call file, on the local disk, so that it is lost with the worker no more.

A folder for each worker, locked while it lives. Records are appended to one of two files, while the other waits for the call
file to have all that is in it, and is then emptied. Writes go to the page cache: they outlive the process, not the machine.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from pathlib import Path

FOLDER = "spool"
LOCK = "lock"
NOTES = "notes"
LINES = ("0", "1")
LARGEST = 256 * 1024 * 1024
"""Bytes of a file after which no more is spooled."""
FEW = 1000
"""Notes of calls that have ended, after which the notes are written anew."""

log = logging.getLogger("llmgw.trace")


class Spool:
    """Opened by `open_spool`. A disk that fails is logged once, and holds nothing up."""

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock
        self._files = [_File(folder / name) for name in LINES]
        self._notes = _File(folder / NOTES)
        self._active = 0
        self._mark = 0
        self._is_failing = False
        self._left = 0
        self.missed = 0

    def append(self, lines: bytes, count: int) -> None:
        """Of so many records."""
        if not self._append(self._files[self._active], lines):
            self.missed += count

    def note(self, notes: bytes) -> None:
        if notes:
            self._append(self._notes, notes)

    def note_anew(self, notes: bytes) -> None:
        """Instead of all earlier ones."""
        try:
            fresh = _File(self._folder / f"{NOTES}.new")
        except OSError as error:
            self._failed(error)
            return
        try:
            fresh.empty()
            fresh.append(notes)
            os.rename(self._folder / f"{NOTES}.new", self._folder / NOTES)
        except OSError as error:
            fresh.close()
            self._failed(error)
            return
        self._notes.close()
        self._notes = fresh

    @property
    def has_notes(self) -> bool:
        return self._notes.size > 0

    def turn(self, *, appended: int, settled: int, dropped: int) -> None:
        """Empties the waiting file once all of it is settled, and lets the other wait.

        The numbers are of records: `appended` here so far, of those `settled` in the call file or dropped, and `dropped` before
        they were there. What may have been dropped is left for whoever takes over what the dead leave.
        """
        waiting = self._files[1 - self._active]
        if waiting.size and settled < self._mark:
            return
        try:
            if waiting.size and dropped != waiting.dropped:
                self._leave_behind(1 - self._active)
            elif waiting.size:
                waiting.empty()
        except OSError as error:
            self._failed(error)
            return
        self._files[1 - self._active].dropped = dropped
        if self._files[self._active].size:
            self._active, self._mark = 1 - self._active, appended

    def close(self, *, settled: bool) -> None:
        """`settled`: the call file has everything, and no call is under way, so that the folder can go."""
        for file in (*self._files, self._notes):
            file.close()
        if settled:
            shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)

    def _append(self, file: _File, data: bytes) -> bool:
        if file.size > LARGEST:
            return False
        try:
            file.append(data)
        except OSError as error:
            self._failed(error)
            return False
        self._is_failing = False
        return True

    def _leave_behind(self, number: int) -> None:
        """As a folder of its own, which nobody has locked."""
        self._left += 1
        name = f"{self._folder.name}.{self._left}"
        made = self._folder.parent / f".{name}"
        made.mkdir(mode=0o700)
        os.rename(self._folder / LINES[number], made / LINES[number])
        os.rename(made, self._folder.parent / name)
        self._files[number].close()
        self._files[number] = _File(self._folder / LINES[number])

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            log.error("the spool of call records cannot be written", extra={"reason": str(error)})


class _File:
    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.size = 0
        self.dropped = 0

    def append(self, data: bytes) -> None:
        """All of it or nothing."""
        written = os.write(self._fd, data)
        if written < len(data):
            os.ftruncate(self._fd, self.size)
            raise OSError("the disk took only a part of it")
        self.size += written

    def empty(self) -> None:
        os.ftruncate(self._fd, 0)
        self.size = 0

    def close(self) -> None:
        os.close(self._fd)


def open_spool(data_folder: Path, owner: str) -> Spool:
    """A folder of this worker's own, which nobody sees before it is locked. Raises OSError."""
    folder = data_folder / FOLDER / owner.replace("/", "_")
    made = folder.with_name(f".{folder.name}")
    made.mkdir(mode=0o700, parents=True)
    lock = os.open(made / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.rename(made, folder)
    return Spool(folder, lock)
