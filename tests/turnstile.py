"""How the workers of one run share the machine: any number of tests at once, or one that is marked `alone`."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Turnstile:
    """One worker's way into the room where tests run. Whoever comes first goes first, so that nobody waits for ever.

    A worker that dies leaves: the kernel takes its locks away. `folder` has the two locks.
    """

    def __init__(self, folder: Path) -> None:
        self._turn = _opened(folder / "turn.lock")
        self._room = _opened(folder / "room.lock")
        self._is_alone = False

    def enter(self, *, alone: bool) -> None:
        """Returns once everybody has left, if this test is to be alone; else once whoever was alone has left."""
        if alone and self._is_alone:
            return
        fcntl.lockf(self._turn, fcntl.LOCK_EX)
        fcntl.lockf(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.lockf(self._turn, fcntl.LOCK_UN)
        self._is_alone = alone

    def leave(self, *, next_alone: bool) -> None:
        """Stays in the room if this worker's next test, too, is to be alone: it need not be emptied twice."""
        if self._is_alone and next_alone:
            return
        fcntl.lockf(self._room, fcntl.LOCK_UN)
        fcntl.lockf(self._turn, fcntl.LOCK_UN)
        self._is_alone = False


def _opened(path: Path) -> int:
    """A descriptor for good: to close any of a file's would take this process's locks of it away."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
