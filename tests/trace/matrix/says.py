"""What each source says of one call, by the same names: where two of them say something of the same, they must be equal.

A source is a function that gives facts; a further one (metrics) is a further entry where `test_matrix` compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.ledger.gateway import Row
from tests.trace.matrix.cast import Client
from tests.trace.receiver import Span

Facts = Mapping[str, Any]
_SPAN = {
    "llmgw.request.id": "id",
    "http.response.status_code": "status",
    "llmgw.outcome": "outcome",
    "error.type": "error_code",
    "llmgw.request.model": "model",
    "llmgw.policy.version": "policy",
    "llmgw.route": "route",
    "llmgw.cache": "cache",
    "llmgw.org.id": "org",
    "llmgw.key.id": "key_id",
    "llmgw.user.id": "user",
    "llmgw.upstream.attempts": "attempts",
    "llmgw.failed_in": "failed_in",
}
_ATTEMPT = {
    "llmgw.deployment.id": "deployment",
    "llmgw.provider": "provider",
    "gen_ai.operation.name": "operation",
    "gen_ai.request.model": "upstream_model",
}
_ANSWER = {
    "gen_ai.response.model": "response_model",
    "gen_ai.response.id": "response_id",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
}
_HEADERS = {
    "x-request-id": "id",
    "x-llmgw-policy": "policy",
    "x-llmgw-route": "route",
    "x-llmgw-cache": "cache",
    "x-llmgw-model": "deployment",
    "x-llmgw-provider": "provider",
}


def record(row: Row) -> Facts:
    """The record itself; other sources give less. Of several answers the tokens are those of the one that was served."""
    served = [each for each in row["attempts"] if each.get("served")]
    own = {name: each[name] for each in served for name in ("input_tokens", "output_tokens")}
    return {**row, **own, "attempts": len(row["attempts"])}


def answer(client: Client) -> Facts:
    """The response's headers and usage."""
    response, usage = client.response, client.usage
    if response is None:
        return {}
    facts: dict[str, Any] = {
        fact: response.headers[name] for name, fact in _HEADERS.items() if name in response.headers
    }
    facts["attempts"] = int(response.headers["x-llmgw-attempts"]) if "x-llmgw-attempts" in response.headers else 0
    if "traceresponse" in response.headers:
        _, facts["trace_id"], facts["span_id"], flags = response.headers["traceresponse"].split("-")
        facts["sampled"] = flags == "01"
    if "x-llmgw-cost-usd" in response.headers:
        facts["cost_nano_usd"] = _nano(response.headers["x-llmgw-cost-usd"])
    if usage is not None and facts.get("cache") != "hit":
        facts |= {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
        if "cost_usd" in usage:
            facts["cost_nano_usd"] = _nano(repr(usage["cost_usd"]))
    return facts


def spans(trace: Sequence[Span]) -> Facts:
    """The trace: who was asked is the last attempt's word, or the served one's of several; what was used the answered one's."""
    root, attempts = trace[0], [span for span in trace if span.kind == "CLIENT"]
    facts = {fact: root.attributes[name] for name, fact in _SPAN.items() if name in root.attributes}
    facts |= {"trace_id": root.trace_id, "span_id": root.span_id}
    facts["path"] = root.attributes["url.path"]
    if attempts:
        last = next((each for each in attempts if each.attributes.get("llmgw.attempt.served")), attempts[-1]).attributes
        facts |= {fact: last[name] for name, fact in _ATTEMPT.items()}
        facts |= {fact: last[name] for name, fact in _ANSWER.items() if name in last}
    costs = {span.attributes["llmgw.cost.total"] for span in trace if "llmgw.cost.total" in span.attributes}
    assert len(costs) <= 1, costs
    if costs:
        facts["cost_nano_usd"] = round(costs.pop() * 1e9)
    paid = [each.attributes["llmgw.attempt.cost"] for each in attempts if "llmgw.attempt.cost" in each.attributes]
    assert not paid or sum(round(each * 1e9) for each in paid) == facts["cost_nano_usd"], paid
    return facts


def differences(one: Facts, other: Facts) -> dict[str, tuple[Any, Any]]:
    """Where both say something, and not the same."""
    return {name: (one[name], other[name]) for name in one.keys() & other.keys() if one[name] != other[name]}


def _nano(usd: str) -> int:
    nano = Decimal(usd) * 10**9
    assert nano == int(nano), usd
    return int(nano)
