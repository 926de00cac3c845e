"""The snapshot in force, and what came of the last attempt to replace it."""

from __future__ import annotations

from gateway.policy.mistakes import PolicyError
from gateway.policy.snapshot import Snapshot


class Current:
    """Read `current` once for each call and keep what it gives; it is replaced by one assignment.

    `loaded_at` is UTC seconds since 1970. `last_error` is None unless the files as they are now cannot be used.
    """

    def __init__(self, snapshot: Snapshot, *, loaded_at: float) -> None:
        self.current = snapshot
        self.loaded_at = loaded_at
        self.last_error: PolicyError | None = None

    def replace(self, snapshot: Snapshot, *, loaded_at: float) -> None:
        self.current = snapshot
        self.loaded_at = loaded_at
        self.last_error = None

    def refuse(self, error: PolicyError) -> None:
        """Leaves the snapshot in force."""
        self.last_error = error

    def keep(self) -> None:
        """The files say again what is in force."""
        self.last_error = None
