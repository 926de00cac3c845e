"""A route's times are those of a wall clock in its zone, past midnight and through every change of the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.policy.quantities import time_of_week
from gateway.route.hours import Hours


def at(text: str) -> float:
    """A time, in UTC seconds."""
    when = datetime.fromisoformat(text)
    assert when.tzinfo is not None
    return when.timestamp()


@pytest.mark.parametrize(
    ("hours", "when", "is_in"),
    [
        # The first minute is in, the last is not.
        ("09:00-17:00", "2026-01-05T08:59:59Z", False),
        ("09:00-17:00", "2026-01-05T09:00:00Z", True),
        ("09:00-17:00", "2026-01-05T16:59:59Z", True),
        ("09:00-17:00", "2026-01-05T17:00:00Z", False),
        # Past midnight.
        ("22:00-06:00", "2026-01-05T21:59Z", False),
        ("22:00-06:00", "2026-01-05T22:00Z", True),
        ("22:00-06:00", "2026-01-06T00:00Z", True),
        ("22:00-06:00", "2026-01-06T05:59:59Z", True),
        ("22:00-06:00", "2026-01-06T06:00Z", False),
        # A whole day, and the end of one.
        ("00:00-24:00", "2026-01-05T00:00Z", True),
        ("00:00-24:00", "2026-01-05T23:59:59Z", True),
        ("18:00-24:00", "2026-01-05T23:59:59Z", True),
        ("18:00-24:00", "2026-01-06T00:00Z", False),
        ("18:00-00:00", "2026-01-05T23:59:59Z", True),
        ("18:00-00:00", "2026-01-06T00:00Z", False),
        # Days: 2026-01-05 is a Monday.
        ("mon-fri 08:00-18:00", "2026-01-09T12:00Z", True),
        ("mon-fri 08:00-18:00", "2026-01-10T12:00Z", False),
        ("mon-fri 08:00-18:00", "2026-01-11T12:00Z", False),
        ("sat,sun 10:00-12:00", "2026-01-10T11:00Z", True),
        ("sat,sun 10:00-12:00", "2026-01-12T11:00Z", False),
        ("fri-mon 10:00-12:00", "2026-01-11T11:00Z", True),
        ("fri-mon 10:00-12:00", "2026-01-13T11:00Z", False),
        # The day on which a span begins decides, also after midnight.
        ("fri 22:00-06:00", "2026-01-09T23:00Z", True),
        ("fri 22:00-06:00", "2026-01-10T05:00Z", True),
        ("fri 22:00-06:00", "2026-01-10T23:00Z", False),
        ("fri 22:00-06:00", "2026-01-09T05:00Z", False),
        ("sun 22:00-06:00", "2026-01-12T05:00Z", True),
        ("mon 22:00-06:00", "2026-01-05T05:00Z", False),
        # Zones: the wall clock and the day there.
        ("09:00-17:00 Europe/Berlin", "2026-01-05T08:00Z", True),
        ("09:00-17:00 Europe/Berlin", "2026-01-05T16:00Z", False),
        ("mon 00:00-01:00 Asia/Tokyo", "2026-01-04T15:30Z", True),
        ("sun 00:00-24:00 Asia/Tokyo", "2026-01-04T15:30Z", False),
        ("mon 20:00-24:00 America/Los_Angeles", "2026-01-06T05:00Z", True),
        ("09:00-09:30 Asia/Kolkata", "2026-01-05T03:45Z", True),
        ("09:00-09:30 Asia/Kathmandu", "2026-01-05T03:15Z", True),
    ],
)
def test_the_time_of_the_week(hours: str, when: str, is_in: bool) -> None:
    assert (at(when) in time_of_week(hours)) is is_in


@pytest.mark.parametrize(
    ("when", "is_in"),
    [
        ("2026-03-28T08:30Z", True),  # winter: 09:30
        ("2026-03-28T07:30Z", False),
        ("2026-03-29T07:30Z", True),  # summer, from this Sunday on: 09:30
        ("2026-03-29T15:30Z", False),
        ("2026-10-24T07:30Z", True),
        ("2026-10-25T07:30Z", False),  # winter again
        ("2026-10-25T15:30Z", True),
    ],
)
def test_office_hours_move_with_summer_time(when: str, is_in: bool) -> None:
    assert (at(when) in time_of_week("09:00-17:00 Europe/Berlin")) is is_in


def test_the_hour_that_does_not_exist_is_never_in_and_the_one_that_comes_twice_is_in_twice() -> None:
    two_to_three = time_of_week("02:00-03:00 Europe/Berlin")

    spring = [at("2026-03-29T00:00Z") + 60 * minute in two_to_three for minute in range(180)]
    autumn = [at("2026-10-25T00:00Z") + 60 * minute in two_to_three for minute in range(180)]

    assert spring.count(True) == 0
    assert autumn == [True] * 120 + [False] * 60


@pytest.mark.parametrize(("day", "minutes"), [("2026-03-28", 420), ("2026-10-24", 540), ("2026-06-06", 480)])
def test_a_night_is_as_long_as_the_clock_makes_it(day: str, minutes: int) -> None:
    night = time_of_week("22:00-06:00 Europe/Berlin")
    noon = at(f"{day}T12:00Z")

    assert [noon + 60 * minute in night for minute in range(24 * 60)].count(True) == minutes


def test_every_minute_of_a_week_is_in_a_span_or_in_its_complement() -> None:
    spans = [time_of_week("mon-sun 22:00-06:00"), time_of_week("06:00-22:00")]
    monday = datetime(2026, 1, 5, tzinfo=UTC).timestamp()

    assert all(sum(monday + 60 * minute in span for span in spans) == 1 for minute in range(7 * 24 * 60))


@pytest.mark.parametrize(
    "written",
    [
        "",
        "9-17",
        "09:00",
        "25:00-26:00",
        "09:60-10:00",
        "09:00-09:00",
        "noday 09:00-10:00",
        "mon- 09:00-10:00 Mars/Olympus",
        5,
    ],
)
def test_what_is_no_time_of_the_week_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"time|day"):
        time_of_week(written)


def test_days_may_go_round_the_end_of_the_week() -> None:
    assert time_of_week("sat-mon 10:00-11:00") == Hours(600, 660, frozenset({5, 6, 0}))
