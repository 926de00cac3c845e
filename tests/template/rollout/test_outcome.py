"""Which calls count for and against a version."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.template.rollout.bounds import Measure
from gateway.template.rollout.outcome import Outcome, outcome_of
from gateway.template.rollout.tally import Tally

PROMPT = {"name": "support", "version": 2, "hash": "abc", "reason": "rollout", "unit": "u1"}


def row(**told: object) -> dict[str, Any]:
    answered = {"outcome": "upstream", "error_code": None, "duration_ms": 12.5, "cost_nano_usd": 700}
    return {**answered, "input_tokens": 10, "output_tokens": 20, "prompt": PROMPT, **told}


def outcome(**told: object) -> Outcome:
    found = outcome_of(row(**told))
    assert found is not None
    return found


def test_an_answer_is_measured_by_everything() -> None:
    assert dict(outcome().measured()) == {Measure.ERRORS: 0, Measure.LATENCY: 12.5, Measure.COST: 700}


def test_a_failure_is_measured_as_one_alone() -> None:
    found = outcome(outcome="upstream_error", error_code="upstream_timeout")

    assert dict(found.measured()) == {Measure.ERRORS: 1}


@pytest.mark.parametrize("name", ["client_abort", "stopped_budget"])
def test_a_call_that_ended_early_for_other_reasons_is_counted_and_not_measured(name: str) -> None:
    found, tally = outcome(outcome=name, error_code="gone"), Tally()
    found.count(tally)

    assert dict(found.measured()) == {}
    assert (tally.calls, tally.errors, tally.input.total) == (1, 0, 10)


@pytest.mark.parametrize("name", ["rejected_auth", "rejected_rate", "rejected_budget", "overloaded", "internal_error"])
def test_a_call_that_we_refused_is_not_counted(name: str) -> None:
    assert outcome_of(row(outcome=name, error_code="no")) is None


def test_a_call_without_a_template_is_not_counted() -> None:
    assert outcome_of(row(prompt=None)) is None


def test_what_a_cache_answered_is_counted_as_a_hit_and_not_measured() -> None:
    found, tally = outcome(outcome="cache_exact", cost_nano_usd=0), Tally()
    found.count(tally)

    assert dict(found.measured()) == {}
    assert (tally.calls, tally.hits, tally.cost.n, tally.latency) == (1, 1, 0, {})


@pytest.mark.parametrize(("reason", "unit"), [("rollout", "u1"), ("sticky", ""), ("label", ""), ("stepped_back", "")])
def test_only_a_version_that_was_drawn_for_the_call_is_compared(reason: str, unit: str) -> None:
    assert outcome(prompt={**PROMPT, "reason": reason}).unit == unit


def test_a_free_model_has_no_cost_to_compare() -> None:
    assert Measure.COST not in dict(outcome(cost_nano_usd=0).measured())
