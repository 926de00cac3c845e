"""How long call records and their roll-ups are kept."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """`age` and `statistics` (of the roll-ups) in seconds; `bytes` of the whole file."""

    age: float = 7 * DAY
    rows: int = 1_000_000
    bytes: int = 4 * 1024**3
    statistics: float = 90 * DAY
