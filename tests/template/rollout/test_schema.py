"""What a template's file may say of the bounds of its rollout."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.policy.schema_rollout import Beside, Bounds
from gateway.template.rollout.bounds import Limit, StepBack


def test_what_is_not_said_has_defaults() -> None:
    assert Bounds().resolved() == StepBack()


def test_bounds_are_shares_or_ratios() -> None:
    written = {"errors": "+2%", "latency": "2x", "cost": "1.25 x", "feedback": "-5%", "confidence": "99%"}

    assert Bounds.model_validate(written).resolved() == StepBack(
        Limit(more=0.02), Limit(2), Limit(1.25), Limit(more=0.05), 0.99
    )


def test_a_bound_may_be_left_out() -> None:
    resolved = Bounds.model_validate({"latency": "none", "errors": "3x"}).resolved()

    assert (resolved.latency, resolved.errors) == (None, Limit(3))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("errors", "2%"),
        ("errors", "-2%"),
        ("errors", 2),
        ("latency", "+100ms"),
        ("latency", "0.5x"),
        ("cost", "101x"),
        ("feedback", "+10%"),
        ("feedback", "1.5x"),
        ("confidence", "40%"),
        ("confidence", "100%"),
        ("speed", "2x"),
    ],
)
def test_anything_else_is_a_mistake(name: str, written: object) -> None:
    with pytest.raises(ValidationError):
        Bounds.model_validate({name: written})


def test_a_shadow_has_a_version_and_a_share() -> None:
    shadow = Beside.model_validate({"version": 3, "share": "10%", "budget": "1 USD/day"})

    assert (shadow.version, shadow.share, shadow.budget) == (3, 0.1, 1_000_000_000)
