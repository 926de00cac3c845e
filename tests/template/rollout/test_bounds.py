from __future__ import annotations

import pytest

from gateway.template.rollout.bounds import Limit, Measure, StepBack, written


@pytest.mark.parametrize(
    ("limit", "text"),
    [(Limit(more=0.02), "+2%"), (Limit(ratio=1.5), "1.5x"), (Limit(), "1x"), (Limit(1.2, 0.01), "1.2x+1%")],
)
def test_a_limit_is_written_as_in_a_file(limit: Limit, text: str) -> None:
    assert str(limit) == text


@pytest.mark.parametrize(("ratio", "more"), [(0.9, 0), (101, 0), (1, -0.1), (1, 1), (float("nan"), 0)])
def test_what_bounds_nothing_is_refused(ratio: float, more: float) -> None:
    with pytest.raises(ValueError, match="is from"):
        Limit(ratio, more)


def test_feedback_is_bounded_by_fewer_good_answers() -> None:
    assert written(Measure.FEEDBACK, Limit(more=0.1)) == "-10%"
    assert written(Measure.ERRORS, Limit(more=0.1)) == "+10%"


def test_all_bounds_of_all_versions_share_the_chance_of_a_false_alarm() -> None:
    bounds = StepBack(confidence=0.9)

    assert 2 * sum(bounds.alpha(each, versions=2) for each in Measure) == pytest.approx(0.1)


def test_a_bound_that_is_not_there_leaves_its_part_to_the_others() -> None:
    bounds = StepBack(latency=None, cost=None, feedback=None)

    assert [each for each, _ in bounds.limits()] == [Measure.ERRORS]
    assert bounds.alpha(Measure.ERRORS, versions=1) == pytest.approx(0.05)
