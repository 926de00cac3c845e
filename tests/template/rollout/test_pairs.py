from __future__ import annotations

import math
from random import Random

import pytest

from gateway.template.rollout.bounds import Limit, Measure, StepBack
from gateway.template.rollout.pairs import FACTOR, WAITING, Pairs


def _pairs(**limits: Limit) -> Pairs:
    none: dict[str, Limit | None] = dict.fromkeys([each.value for each in Measure])
    return Pairs(StepBack(**(none | limits)))  # type: ignore[arg-type]


def test_a_pair_needs_a_call_of_either_version() -> None:
    pairs = _pairs(errors=Limit(more=0.02))

    assert pairs.add(Measure.ERRORS, 0, is_new=False) is None
    assert pairs.add(Measure.ERRORS, 1, is_new=False) is None
    assert pairs.add(Measure.ERRORS, 1, is_new=True) == pytest.approx((1 - 0.5 - 0.02) / 1.02)
    assert pairs.add(Measure.ERRORS, 1, is_new=True) is None, "no call is in two pairs"


def test_a_ratio_of_shares_is_compared_as_one() -> None:
    pairs = _pairs(errors=Limit(ratio=2))
    pairs.add(Measure.ERRORS, 0.5, is_new=False)

    assert pairs.add(Measure.ERRORS, 1, is_new=True) == 0


def test_amounts_are_compared_by_their_ratio() -> None:
    pairs = _pairs(cost=Limit(ratio=1.5))
    pairs.add(Measure.COST, 10, is_new=False)
    assert pairs.add(Measure.COST, 15, is_new=True) == pytest.approx(0)

    pairs.add(Measure.COST, 30, is_new=True)
    assert pairs.add(Measure.COST, 10, is_new=False) == pytest.approx(math.log(2) / FACTOR)


def test_one_monstrous_call_counts_as_eight_times_the_bound_at_most() -> None:
    pairs = _pairs(latency=Limit(ratio=1.5))
    pairs.add(Measure.LATENCY, 1, is_new=False)

    assert pairs.add(Measure.LATENCY, 1e9, is_new=True) == 1


def test_what_has_no_bound_makes_no_pairs() -> None:
    pairs = _pairs(cost=Limit(ratio=1.5))
    pairs.add(Measure.ERRORS, 0, is_new=False)

    assert pairs.add(Measure.ERRORS, 1, is_new=True) is None


def test_a_version_without_calls_makes_nobody_wait_for_ever() -> None:
    pairs = _pairs(errors=Limit(more=0.02))
    for _ in range(WAITING):
        pairs.add(Measure.ERRORS, 1, is_new=False)
    for _ in range(WAITING):
        pairs.add(Measure.ERRORS, 0, is_new=False)

    assert pairs.add(Measure.ERRORS, 0, is_new=True) == pytest.approx(-0.02 / 1.02), "the oldest are left out"


@pytest.mark.parametrize("weight", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("measure", [Measure.ERRORS, Measure.COST])
def test_at_the_bound_pairs_come_to_nothing_on_average(measure: Measure, weight: float) -> None:
    random = Random(f"{measure} {weight}")
    pairs = _pairs(errors=Limit(more=0.05), cost=Limit(ratio=1.5))
    found = []
    for _ in range(100_000):
        is_new = random.random() < weight
        if measure is Measure.ERRORS:
            value = float(random.random() < (0.15 if is_new else 0.1))
        else:
            value = (1.5 if is_new else 1) * random.lognormvariate(0, 1)
        pair = pairs.add(measure, value, is_new=is_new)
        found += [pair] if pair is not None else []
    mean = sum(found) / len(found)
    deviation = math.sqrt(sum((each - mean) ** 2 for each in found)) / len(found)

    assert abs(mean) < 4 * deviation
    assert min(found) >= -1
