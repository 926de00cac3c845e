"""A small edition of bench.rollout, with seeds that stay: what the docs promise holds in it."""

from __future__ import annotations

from random import Random

import pytest

from bench.rollout import EQUAL, SCENARIOS, Scenario, Version, quantile, simulated
from gateway.template.rollout.bounds import Measure, StepBack
from gateway.template.rollout.evidence import Evidence, Watched, shown


def test_an_equal_version_is_left_alone() -> None:
    scenario = Scenario(EQUAL.name, EQUAL.new, is_worse=False, calls=2_000)
    stopped = [each for each in simulated(scenario, rollouts=40, seed=2) if each is not None]

    assert len(stopped) <= 2


def test_a_version_at_every_bound_is_stepped_back_no_more_often_than_was_said() -> None:
    scenario = Scenario("", Version(0.06, 1.5, 1.5, 0.7), is_worse=False, calls=2_000)
    stopped = [each for each in simulated(scenario, rollouts=40, seed=2, weight=0.3) if each is not None]

    assert len(stopped) <= 5, "of 40, 5 % are 2; more than 5 come by chance once in a hundred times"


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("errors 5 % to 30 %", 150),
        ("latency doubled", 600),
        ("cost doubled", 600),
        ("errors doubled: 5 % to 10 %", 3000),
    ],
)
def test_a_worse_version_is_stepped_back_soon(name: str, most: int) -> None:
    scenario = next(each for each in SCENARIOS if each.name == name)
    stopped = simulated(scenario, rollouts=10, seed=2)

    assert all(stopped)
    assert quantile([each.own for each in stopped if each is not None], 1) <= most


def test_an_hour_in_which_the_provider_fails_is_held_against_nobody() -> None:
    random, bounds = Random(5), StepBack()
    watched = Watched(bounds)
    for number in range(20_000):
        rate = 0.6 if number // 1000 % 3 == 2 else 0.02
        watched.note(Measure.ERRORS, float(random.random() < rate), is_new=random.random() < 0.1)

    assert not any(each.is_crossed for each in shown(watched.news, bounds, versions=1))


def test_evidence_is_added_up() -> None:
    one, other, both = Evidence(), Evidence(), Evidence()
    for evidence in (one, both):
        evidence.learn(Measure.COST, 0.5)
    for evidence in (other, both):
        evidence.learn(Measure.COST, 0.7)
        evidence.learn(Measure.ERRORS, -0.2)
    one.add(other)

    assert one.pairs == both.pairs
    assert shown(one, StepBack(), versions=1)[0].evidence == pytest.approx(
        shown(both, StepBack(), versions=1)[0].evidence
    )


def test_a_bound_says_how_near_it_is_to_being_crossed() -> None:
    found = {each.measure: each for each in shown(Evidence(), StepBack(), versions=1)}

    assert found["errors"].evidence == 1
    assert found["errors"].needed == pytest.approx(50)
    assert found["cost"].needed == pytest.approx(100)
    assert not found["cost"].is_crossed
