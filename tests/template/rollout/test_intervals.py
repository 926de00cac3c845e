from __future__ import annotations

from random import Random

import pytest

from gateway.template.rollout.intervals import Figure, figures, mean, percentile, share
from gateway.template.rollout.tally import Sum, Tally, bucket, middle


def test_a_share_of_nothing_is_unknown() -> None:
    assert share(0, 0) == Figure()


def test_none_of_ten_may_still_be_a_quarter() -> None:
    found = share(0, 10)

    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(0.2775, abs=1e-4)


def test_a_mean_of_one_number_has_no_interval() -> None:
    assert mean(Sum(1, 5, 25)) == Figure(5)


@pytest.mark.parametrize("seed", range(3))
def test_about_nineteen_of_twenty_intervals_hold_the_truth(seed: int) -> None:
    random, held = Random(seed), [0, 0, 0]
    for _ in range(400):
        sums, counts, part = Sum(), dict[int, int](), 0
        for _ in range(100):
            value = random.expovariate(1 / 200)
            sums.learn(value)
            counts[bucket(value)] = counts.get(bucket(value), 0) + 1
            part += random.random() < 0.1
        for number, (found, truth) in enumerate(
            [(share(part, 100), 0.1), (mean(sums), 200), (percentile(counts, 0.5), 138.6)]
        ):
            assert found.low is not None
            assert found.high is not None
            held[number] += found.low <= truth <= found.high

    assert all(0.90 * 400 <= each <= 400 for each in held), held


def test_a_percentile_of_few_calls_has_no_upper_end() -> None:
    found = percentile({bucket(100): 3}, 0.95)

    assert found.value == pytest.approx(100, rel=0.06)
    assert found.high is None


@pytest.mark.parametrize("ms", [1.5, 20, 300, 4000, 90_000])
def test_a_bucket_is_a_tenth_wide(ms: float) -> None:
    assert middle(bucket(ms)) == pytest.approx(ms, rel=0.06)


def test_what_a_cache_answered_hides_no_errors() -> None:
    found = figures(Tally(calls=30, errors=5, hits=20))

    assert found["errors"].value == 0.5
    assert found["cache_hits"].value == pytest.approx(2 / 3)
    assert found["cost_nano_usd"].value is None
