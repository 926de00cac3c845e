"""The snapshot in force, and what came of the last attempt to replace it."""

from __future__ import annotations

from gateway.policy.mistakes import PolicyError
from gateway.policy.snapshot import Snapshot


class Current:
    """Read `current` once for each call and keep what it gives; it is replaced by one assignment.

    `loaded_at` is UTC seconds since 1970. `last_error` is None unless the files as they are now cannot be used. `reloads`
    counts what came of reading them again.
    """

    def __init__(self, snapshot: Snapshot, *, loaded_at: float) -> None:
        self.current = snapshot
        self.loaded_at = loaded_at
        self.last_error: PolicyError | None = None
        self.reloads = {"replaced": 0, "refused": 0, "unchanged": 0}

    def replace(self, snapshot: Snapshot, *, loaded_at: float) -> None:
        self.current = snapshot
        self.loaded_at = loaded_at
        self.last_error = None
        self.reloads["replaced"] += 1

    def refuse(self, error: PolicyError) -> None:
        """Leaves the snapshot in force."""
        self.last_error = error
        self.reloads["refused"] += 1

    def keep(self) -> None:
        """The files say again what is in force."""
        self.last_error = None
        self.reloads["unchanged"] += 1
