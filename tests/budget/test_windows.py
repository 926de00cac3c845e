"""Windows tile time: every moment lies in one, and one ends where the next begins."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budget.windows import Calendar, Forever, Period, Rolling
from gateway.core.ledger.operations import BUCKETS, NEVER

HOUR = 3_600_000
DAY = 24 * HOUR
ZONES = (
    *(
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Pacific/Kiritimati",
    ),
    *("Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "America/Havana", "Asia/Beirut", "America/Nuuk"),
    *(
        "America/Scoresbysund",
        "Antarctica/Troll",
        "Atlantic/Azores",
        "America/St_Johns",
        "Pacific/Chatham",
        "Europe/Dublin",
    ),
)
"""Among them clocks that change by half an hour, by two, at midnight and at the hour before it."""


def ms(text: str) -> int:
    """A moment such as 2026-03-29T01:30+01:00."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def window(period: Period, zone: str, at: str) -> tuple[str, str, str]:
    """The window at a moment: its id, and its begin and end in UTC."""
    span = Calendar(period, zone).span(ms(at))
    begin, end = (datetime.fromtimestamp(each / 1000, UTC).isoformat()[:16] for each in (span.begin, span.end))
    return span.id, begin, end


@given(
    period=st.sampled_from(Period),
    zone=st.sampled_from(ZONES),
    now=st.integers(ms("2016-01-01T00:00+00:00"), ms("2045-01-01T00:00+00:00")),
)
def test_windows_tile_time_without_gap_or_overlap_and_their_ids_differ(period: Period, zone: str, now: int) -> None:
    calendar = Calendar(period, zone)
    span = calendar.span(now)

    assert span.begin <= now < span.end
    assert {calendar.span(each) for each in (span.begin, span.end - 1)} == {span}
    after, before = calendar.span(span.end), calendar.span(span.begin - 1)
    assert (before.end, after.begin) == (span.begin, span.end)
    assert len({before.id, span.id, after.id}) == 3


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", Period)
def test_windows_tile_the_hours_in_which_clocks_change(period: Period, zone: str) -> None:
    calendar = Calendar(period, zone)
    step = 15 * 60_000
    for year in (2024, 2031):
        begin = ms(f"{year}-01-01T00:00+00:00")
        moments = range(begin, begin + 366 * DAY, step if period is Period.HOUR else 4 * HOUR)
        spans = list(dict.fromkeys(calendar.span(now) for now in moments))
        if period is not Period.MINUTE:
            assert [each.end for each in spans[:-1]] == [each.begin for each in spans[1:]]
        assert len({each.id for each in spans}) == len(spans)


def test_a_day_in_which_clocks_go_forward_has_23_hours_and_one_in_which_they_go_back_25() -> None:
    assert window(Period.DAY, "Europe/Berlin", "2026-03-29T12:00+02:00") == (
        "2026-03-29",
        "2026-03-28T23:00",
        "2026-03-29T22:00",
    )
    assert window(Period.DAY, "Europe/Berlin", "2026-10-25T02:30+01:00") == (
        "2026-10-25",
        "2026-10-24T22:00",
        "2026-10-25T23:00",
    )


def test_the_hour_that_comes_twice_is_two_windows() -> None:
    first = window(Period.HOUR, "Europe/Berlin", "2026-10-25T02:30+02:00")
    second = window(Period.HOUR, "Europe/Berlin", "2026-10-25T02:30+01:00")

    assert first == ("2026-10-25T00:00Z", "2026-10-25T00:00", "2026-10-25T01:00")
    assert second == ("2026-10-25T01:00Z", "2026-10-25T01:00", "2026-10-25T02:00")


def test_an_hour_begins_with_the_hour_of_its_zone() -> None:
    assert window(Period.HOUR, "Asia/Kolkata", "2026-05-01T10:45+05:30") == (
        "2026-05-01T04:30Z",
        "2026-05-01T04:30",
        "2026-05-01T05:30",
    )


def test_where_clocks_skip_midnight_the_day_begins_when_they_change() -> None:
    assert window(Period.DAY, "Africa/Cairo", "2024-04-26T01:00+03:00") == (
        "2024-04-26",
        "2024-04-25T22:00",
        "2024-04-26T21:00",
    )


def test_a_day_that_a_zone_left_out_is_no_window() -> None:
    before = Calendar(Period.DAY, "Pacific/Apia").span(ms("2011-12-29T12:00-10:00"))
    after = Calendar(Period.DAY, "Pacific/Apia").span(before.end)

    assert (before.id, after.id) == ("2011-12-29", "2011-12-31")
    assert after.end - after.begin == DAY


@pytest.mark.parametrize(
    ("at", "id", "begin", "end"),
    [
        ("2026-01-31T23:59+00:00", "2026-01", "2026-01-01T00:00", "2026-02-01T00:00"),
        ("2026-02-01T00:00+00:00", "2026-02", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("2028-02-29T12:00+00:00", "2028-02", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("2026-12-31T23:59+00:00", "2026-12", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_a_month_begins_on_its_first_day(at: str, id: str, begin: str, end: str) -> None:
    assert window(Period.MONTH, "UTC", at) == (id, begin, end)


def test_the_29th_of_february_is_a_day_and_lies_in_its_year() -> None:
    assert window(Period.DAY, "UTC", "2028-02-29T00:00+00:00") == ("2028-02-29", "2028-02-29T00:00", "2028-03-01T00:00")
    assert window(Period.YEAR, "UTC", "2028-02-29T00:00+00:00") == ("2028", "2028-01-01T00:00", "2029-01-01T00:00")


def test_a_week_begins_on_monday_also_across_the_year() -> None:
    for day in ("2026-12-28", "2026-12-31", "2027-01-03"):
        assert window(Period.WEEK, "UTC", f"{day}T23:00+00:00") == (
            "2026-12-28",
            "2026-12-28T00:00",
            "2027-01-04T00:00",
        )


def test_a_month_in_which_clocks_change_keeps_to_local_midnight() -> None:
    assert window(Period.MONTH, "America/New_York", "2026-03-20T00:00-04:00") == (
        "2026-03",
        "2026-03-01T05:00",
        "2026-04-01T04:00",
    )


@given(seconds=st.integers(60, 366 * 86400))
def test_the_parts_of_a_rolling_window_cover_it(seconds: int) -> None:
    span = Rolling(seconds).span(ms("2026-01-01T00:00+00:00"))

    assert seconds * 1000 <= span.bucket * BUCKETS < seconds * 1000 + BUCKETS
    assert (span.id, span.begin, span.end) == ("", 0, NEVER)


def test_what_never_begins_anew_has_one_window() -> None:
    span = Forever().span(0)

    assert span == Forever().span(ms("2045-01-01T00:00+00:00"))
    assert (span.id, span.begin, span.end, span.bucket) == ("", 0, NEVER, 0)


def test_windows_tell_which_they_are() -> None:
    windows = [
        *(Calendar(period, zone) for period in Period for zone in ("UTC", "Europe/Berlin")),
        *(Rolling(60), Rolling(86400), Forever()),
    ]

    assert [str(each) for each in windows[:2]] == ["minute", "minute@Europe/Berlin"]
    assert len({str(each) for each in windows}) == len(windows)
