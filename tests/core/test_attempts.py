"""Several answers of one call: what they cost together, and how long the call was with providers."""

from __future__ import annotations

import pytest

from gateway.core.attempt import Attempts
from gateway.core.bill import Bill, total
from gateway.core.deployment import Deployment, Provider
from gateway.core.span import SpanContext
from gateway.core.usage import Details, Usage

TARGET = Deployment("lab/m", Provider("lab", "openai"), "m", None)


def attempts(*times: tuple[float, float]) -> Attempts:
    made = Attempts(SpanContext(1, 1, is_sampled=True))
    for began, ended in times:
        made.begin(TARGET, started=began).ended = ended
    return made


@pytest.mark.parametrize(
    ("times", "waits", "seconds"),
    [
        ((), (), 0.0),
        (((1, 3),), (), 2.0),
        (((1, 3), (5, 6)), (), 3.0),
        (((1, 3), (5, 6)), ((3, 5),), 5.0),
        (((1, 6), (2, 4)), (), 5.0),  # a hedge within
        (((1, 4), (2, 6)), (), 5.0),  # one that goes on for longer
        (((1, 3), (1, 3), (4, 0)), ((0, 1),), 9.0),  # the last one goes on until now
    ],
)
def test_what_overlaps_counts_once(
    times: tuple[tuple[float, float], ...], waits: tuple[tuple[float, float], ...], seconds: float
) -> None:
    made = attempts(*times)
    made.waits += waits

    assert made.elsewhere(10.0) == seconds
    assert made.waited == sum(ended - began for began, ended in waits)


def test_a_total_has_every_kind_of_token_and_is_estimated_where_a_part_is() -> None:
    first = Bill(Usage(10, 5, 3, 2, details=Details(1, 2, 3, 4, 5)), 100)
    second = Bill(Usage(1, 1, 1, 1, estimated=True, details=Details(1, 1, 1, 1, 1)), 7)

    assert total([first, second]) == Bill(Usage(11, 6, 4, 3, True, Details(2, 3, 4, 5, 6)), 107)
    assert total([first]) == first
    assert total([]) is None


def test_an_answer_without_a_price_adds_its_tokens_alone() -> None:
    unpriced, priced = Bill(Usage(1, 1), None), Bill(Usage(2, 2), 5)

    assert total([unpriced, priced]) == total([priced, unpriced]) == Bill(Usage(3, 3), 5)
    assert total([unpriced, unpriced]) == Bill(Usage(2, 2), None)
