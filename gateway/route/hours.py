"""Times of the week at which a route holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Hours:
    """From `first` to before `last`, in minutes after midnight, on those days (0 is Monday) in which it begins.

    A span whose end is not after its beginning goes past midnight.
    """

    first: int
    last: int
    days: frozenset[int] = frozenset(range(7))
    zone: str = "UTC"

    def __contains__(self, now: float) -> bool:
        """`now` in UTC seconds."""
        local = datetime.fromtimestamp(now, ZoneInfo(self.zone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.first < self.last:
            return day in self.days and self.first <= minute < self.last
        return (day in self.days and minute >= self.first) or ((day - 1) % 7 in self.days and minute < self.last)
