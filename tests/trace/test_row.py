"""The row of a call: texts that a client chose are cut."""

from __future__ import annotations

from gateway.core.attempt import Attempts
from gateway.core.deployment import Deployment, Provider
from gateway.core.money import FREE
from gateway.trace.row import row_of
from gateway.trace.spans.tell import trace_of
from tests.trace.test_journal import record


def test_a_name_that_only_a_wildcard_stands_for_is_cut_in_records_and_spans() -> None:
    name = "n" * 100_000
    target = Deployment(f"acme/{name}", Provider("acme", ""), name, FREE)
    told = record("req_1", model=name)
    told.attempts = Attempts(told.span)
    told.attempts.begin(target, started=told.received).ended = told.ended

    row = row_of(told)

    (attempt,) = row["attempts"]
    assert {row["upstream_model"], attempt["upstream_model"], row["model"]} == {name[:256]}
    assert {row["deployment"], attempt["deployment"]} == {f"acme/{name}"[:256]}
    assert len(str(row)) < 10_000
    assert len(str(trace_of(row).spans[-1].attributes)) < 2000
