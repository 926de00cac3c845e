"""How long a session of the realtime API may last."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """In seconds: `longest` in all, `idle` without a message from either side."""

    longest: float = 3600.0
    idle: float = 600.0
