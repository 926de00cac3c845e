"""`x-ratelimit-*` tells of the limits that will be reached first."""

from __future__ import annotations

import pytest

from gateway.budget.headers import rate_headers
from gateway.budget.limits import Account, Unit
from tests.budget.cast import budget, rate

RPM = rate(600)
RPD = rate(10_000, seconds=86_400)
TPM = rate(200_000, unit=Unit.TOKENS)


def test_requests_and_tokens_are_told_apart() -> None:
    assert dict(rate_headers([(RPM, 599), (TPM, 150_000)])) == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-reset-requests": "61s",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-tokens": "150000",
        "x-ratelimit-reset-tokens": "61s",
    }


@pytest.mark.parametrize(("left", "limit"), [([(RPM, 599), (RPD, 1)], "10000"), ([(RPM, 1), (RPD, 9_000)], "600")])
def test_of_several_the_one_with_the_smallest_share_left_is_told(left: list[tuple[Account, int]], limit: str) -> None:
    headers = dict(rate_headers(left))

    assert headers["x-ratelimit-limit-requests"] == limit
    assert headers["x-ratelimit-remaining-requests"] == "1"


def test_a_day_resets_after_a_day() -> None:
    assert dict(rate_headers([(RPD, 5)]))["x-ratelimit-reset-requests"] == "87840s"


def test_budgets_and_places_at_the_same_time_are_no_rates() -> None:
    assert rate_headers([(budget(100), 5), (rate(5, unit=Unit.CALLS), 1)]) == ()
    assert rate_headers([]) == ()
