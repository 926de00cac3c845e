"""What every trace must be like, whatever became of its call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.ledger.gateway import Row
from tests.trace.receiver import Span

STAGES = {"llmgw.auth", "llmgw.cache", "llmgw.route", "llmgw.budget", "llmgw.meter"}
_REQUIRED = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port")
_ONLY_ANSWERED = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.response.id", "llmgw.cost.total")


def check(trace: Sequence[Span], record: Row) -> None:
    root, *children = trace
    _check_tree(root, children)
    _check_status(root, record)
    attempts = [span for span in children if span.kind == "CLIENT"]
    stages = [span for span in children if span.kind == "INTERNAL"]
    assert {span.name for span in stages} <= STAGES
    assert stages[0].name == "llmgw.auth"
    assert {span.scope for span in (root, *stages)} == {"llmgw"}
    assert {span.scope for span in attempts} <= {"llmgw.upstream"}
    assert not [name for span in (root, *stages) for name in span.attributes if name.startswith("gen_ai.")]
    blamed = {span.name.removeprefix("llmgw.") for span in stages if "error.type" in span.attributes}
    assert blamed <= {record["failed_in"]}
    assert {span.status for span in stages} <= {"UNSET", root.status}
    assert len(attempts) == len(record["attempts"])
    for span, attempt in zip(attempts, record["attempts"], strict=True):
        check_attempt(span, attempt, record)


def _check_tree(root: Span, children: Sequence[Span]) -> None:
    everything = (root, *children)
    assert root.kind == "SERVER"
    assert len({span.span_id for span in everything}) == len(everything)
    assert {span.trace_id for span in everything} == {root.trace_id}
    assert all(len(span.span_id) == 16 and int(span.span_id, 16) for span in everything)
    assert len(root.trace_id) == 32
    assert int(root.trace_id, 16)
    for span in everything:
        assert span.begin <= span.end
        assert root.begin <= span.begin, span.name
        assert span.end <= root.end, (span.name, span.end - root.end)


def _check_status(root: Span, record: Row) -> None:
    assert root.name == f"POST {record['path']}"
    assert root.status == ("ERROR" if record["status"] >= 500 else "UNSET")
    assert (root.attributes.get("error.type") is not None) == (record["error_code"] is not None)
    assert [name for name, _ in root.events] == (["exception"] if record["error_code"] else [])


def check_attempt(span: Span, attempt: Row, record: Row) -> None:
    said = span.attributes
    assert all(name in said for name in _REQUIRED), said
    assert span.name == f"{said['gen_ai.operation.name']} {said['gen_ai.request.model']}"
    error = attempt["error"]
    assert said.get("error.type") == error
    assert (attempt["fault"] is None) == (error is None)
    assert span.status == ("UNSET" if error in (None, "client_disconnected", "superseded") else "ERROR")
    assert said["llmgw.attempt.number"] == attempt["number"]
    assert said["llmgw.attempt.reason"] == attempt["reason"]
    assert said["llmgw.deployment.id"] == attempt["deployment"]
    assert said.get("http.response.status_code") == attempt["status"]
    assert abs((span.end - span.begin) / 1e6 - attempt["duration_ms"]) < 0.01
    check_paid(said, attempt)
    if not attempt.get("served", True):
        return
    is_answered = attempt["first_byte_ms"] is not None
    assert is_answered or not any(name in said for name in _ONLY_ANSWERED)
    if is_answered:
        assert said["gen_ai.usage.input_tokens"] == attempt.get("input_tokens", record["input_tokens"])
        assert said.get("gen_ai.response.finish_reasons", []) == (["error"] if error else record["finish_reasons"])
        assert (
            ("gen_ai.response.time_to_first_chunk" in said)
            == record["stream"]
            == bool(said.get("gen_ai.request.stream"))
        )
        assert said.get("llmgw.usage.estimated", False) == attempt.get("estimated", record["estimated"])


def check_paid(said: Mapping[str, Any], attempt: Row) -> None:
    """Of several answers each has its own tokens and cost, and the reason why it was not served."""
    assert said.get("llmgw.attempt.because") == attempt.get("because")
    assert said.get("llmgw.attempt.served") == attempt.get("served")
    if "served" in attempt:
        names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
        assert [said[name] for name in names] == [attempt["input_tokens"], attempt["output_tokens"]]
        assert round(said["llmgw.attempt.cost"] * 1e9) == attempt["cost_nano_usd"]
        assert "llmgw.cost.total" not in said
