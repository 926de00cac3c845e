"""Windows of time over which spending is limited: calendar ones, which begin anew, and rolling ones, which move on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from gateway.core.ledger.operations import BUCKETS, NEVER


class Period(Enum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Span:
    """One window as it is at some moment: `begin` to `end` in milliseconds since 1970. `id` tells it from the others.

    `bucket` is 0, or the milliseconds of one part of a rolling window, of which there are BUCKETS.
    """

    id: str
    begin: int = 0
    end: int = NEVER
    bucket: int = 0


@dataclass(frozen=True, slots=True)
class Calendar:
    """Begins anew with each minute … year of a time zone. Weeks begin on Monday."""

    period: Period
    zone: str = "UTC"

    def __str__(self) -> str:
        return self.period.value if self.zone == "UTC" else f"{self.period.value}@{self.zone}"

    def span(self, now: int) -> Span:
        """The window in which the moment `now` lies."""
        zone = ZoneInfo(self.zone)
        local = datetime.fromtimestamp(now / 1000, zone)
        begin, end = _bounds(local, self.period)
        return Span(_id(local, begin, self.period), _moment(begin), _moment(end))


@dataclass(frozen=True, slots=True)
class Rolling:
    """The last so many seconds, at every moment."""

    seconds: int

    def __str__(self) -> str:
        return f"{self.seconds}s"

    def span(self, now: int) -> Span:
        return Span("", bucket=-(-self.seconds * 1000 // BUCKETS))


@dataclass(frozen=True, slots=True)
class Forever:
    """Never begins anew."""

    def __str__(self) -> str:
        return "ever"

    def span(self, now: int) -> Span:
        return Span("")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Window = Calendar | Rolling | Forever


def _bounds(local: datetime, period: Period) -> tuple[datetime, datetime]:
    """Where the period round a local time begins and ends."""
    if period in (Period.MINUTE, Period.HOUR):  # in real time: where clocks go back an hour comes twice
        length = timedelta(minutes=1) if period is Period.MINUTE else timedelta(hours=1)
        standard = (local.utcoffset() or timedelta()) - (
            local.dst() or timedelta()
        )  # clocks change by half an hour too
        begin = local.astimezone(UTC) - (local.astimezone(UTC) + standard - _EPOCH) % length
        return begin, begin + length
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match period:
        case Period.WEEK:
            monday = day - timedelta(days=day.weekday())
            return monday, monday + timedelta(days=7)
        case Period.MONTH:
            first = day.replace(day=1)
            return first, (first + timedelta(days=32)).replace(day=1)
        case Period.YEAR:
            first = day.replace(month=1, day=1)
            return first, first.replace(year=first.year + 1)
        case _:
            return day, day + timedelta(days=1)


def _id(local: datetime, begin: datetime, period: Period) -> str:
    match period:
        case Period.MINUTE:
            return begin.strftime("%Y-%m-%dT%H:%MZ")
        case Period.HOUR:
            return begin.strftime("%Y-%m-%dT%H:%MZ")
        case Period.MONTH:
            return local.strftime("%Y-%m")
        case Period.YEAR:
            return local.strftime("%Y")
        case _:
            return begin.strftime("%Y-%m-%d")


def _moment(time: datetime) -> int:
    """A local time as milliseconds; one that the clocks skip is the moment of the change."""
    return round(time.timestamp() * 1000)
