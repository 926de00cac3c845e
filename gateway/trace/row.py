"""The durable form of a record: one flat row of plain JSON values, which traces, metrics and admins are told from.

Times in UTC seconds or milliseconds, money in nano-USD. docs/observability.md says what each field is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.attempt import Attempt
from gateway.core.call import Call
from gateway.trace.content import content
from gateway.trace.record import STAGES, Record
from gateway.trace.rules import Capture, Inbound

Row = dict[str, Any]

PARAMETERS = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "n",
    "reasoning_effort",
    "service_tier",
    "dimensions",
    "encoding_format",
)
"""What of the client's request is told besides, where it is a number or a short text."""
_LONGEST = 256


def row_of(record: Record) -> Row:
    call, tenant, bill, served, decision = record.call, record.tenant, record.bill, record.served, record.decision
    last = record.attempts[-1] if record.attempts else None
    said = served.said if served is not None else None
    usage = bill.usage if bill is not None else None
    parent, arrival = record.parent, record.arrival
    row: Row = {
        "id": record.id,
        "at": round(record.received_at, 6),
        "trace_id": f"{record.span.trace_id:032x}",
        "span_id": f"{record.span.span_id:016x}",
        "parent_span_id": None if parent is None else f"{parent.span_id:016x}",
        "sampled": record.span.is_sampled,
        "status": record.status,
        "outcome": record.outcome,
        "error_code": record.error.code if record.error else None,
        "error": record.error.message if record.error else None,
        "failed_in": _failed_in(record),
        "org": tenant.org if tenant else None,
        "team": tenant.team if tenant else None,
        "tenant": tenant.name if tenant else None,
        "key_id": tenant.key_id if tenant else None,
        "key_name": tenant.key_name if tenant else None,
        "user": call.user if call else None,
        "method": arrival.method,
        "path": arrival.path,
        "operation": arrival.operation,
        "model": call.model[:_LONGEST] if call else None,
        "stream": call.stream if call else None,
        "tags": list(call.tags) if call else [],
        "conversation": call.conversation if call else None,
        "parameters": dict(_parameters(call)) if call else {},
        "policy": record.policy,
        "template": None,
        "route": decision.route if decision else None,
        "reason": decision.reason if decision else None,
        "cache": _cache(record),
        "similarity": None,
        "saved_nano_usd": None,
        "deployment": last.deployment if last else None,
        "provider": last.provider if last else None,
        "upstream_model": last.target.upstream_model if last else None,
        "response_model": said.model if said else None,
        "response_id": said.id if said else None,
        "finish_reasons": list(said.finish_reasons) if said else [],
        "input_tokens": usage.input if usage else None,
        "output_tokens": usage.output if usage else None,
        "cached_tokens": usage.cached if usage else None,
        "cache_write_tokens": usage.details.cache_write if usage else None,
        "reasoning_tokens": usage.reasoning if usage else None,
        "audio_tokens": usage.details.audio_input + usage.details.audio_output if usage else None,
        "estimated": usage.estimated if usage else None,
        "cost_nano_usd": bill.cost if bill else None,
        "reserved_nano_usd": record.hold.reserved_usd if record.hold else None,
        "duration_ms": _milliseconds(record.ended - record.received),
        "first_byte_ms": None if record.first_byte is None else _milliseconds(record.first_byte - record.received),
        "overhead_ms": _milliseconds(record.overhead()),
        "chunks": said.chunks if said else None,
        "stages": list(_stages(record)),
        "attempts": [_attempt(each, record.received) for each in record.attempts],
    }
    if parent is not None and parent.trace_id != record.span.trace_id:
        row["parent_span_id"], row["link"] = None, _link(record)
    if record.rules.capture is not Capture.OFF and call is not None:
        row["content"] = content(call, served, tenant, record.rules)
    return row


def _link(record: Record) -> Row | None:
    if record.parent is None or record.rules.inbound is not Inbound.LINK:
        return None
    return {"trace_id": f"{record.parent.trace_id:032x}", "span_id": f"{record.parent.span_id:016x}"}


def _failed_in(record: Record) -> str | None:
    if record.error is None:
        return None
    passed = len(record.passed)
    return STAGES[passed] if passed < len(STAGES) else "upstream"  # an answer that breaks off has been metered


def _cache(record: Record) -> str | None:
    if record.claim is None:
        return None
    return "bypass" if record.claim.hit is None else "hit"


def _parameters(call: Call) -> Iterator[tuple[str, object]]:
    fields = call.fields
    for name in PARAMETERS:
        if name in fields:
            value = fields[name]
            if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _LONGEST):
                yield name, value
    if "response_format" in fields and isinstance(kind := fields["response_format"], dict):
        yield "response_format", str(kind.get("type"))[:_LONGEST]


def _stages(record: Record) -> Iterator[Row]:
    """What each stage did that the call came to, but for the attempts."""
    began, error = record.received, record.error
    failed_at = len(record.passed) if error is not None else -1
    for number, name in enumerate(STAGES):
        ended = record.passed[number] if number < len(record.passed) else record.ended
        if number > len(record.passed) or (number == len(record.passed) and error is None):
            return
        if name == "meter" and record.attempts:
            began = record.attempts[-1].ended or began
        facts = _FACTS[name](record) if name in _FACTS else None
        if facts is not None:
            stage = {"name": name, "started_ms": _milliseconds(began - record.received)}
            stage["duration_ms"] = _milliseconds(ended - began)
            if number == failed_at and error is not None:
                stage["error"] = error.code
            stage.update(facts)
            yield stage
        if name == "budget" and record.hold is not None:
            yield from _asked(record)
        began = ended


def _asked(record: Record) -> Iterator[Row]:
    """Each reservation: they are made before the attempts that they pay for."""
    assert record.hold is not None
    for began, ended, result in record.hold.asked:
        stage: Row = {"name": "budget", "started_ms": _milliseconds(began - record.received)}
        stage |= {"duration_ms": _milliseconds(ended - began), "result": result}
        if result == "denied":
            stage |= {"error": record.error.code if record.error else None, **(record.hold.refused_by or {})}
        yield stage


def _auth(record: Record) -> Mapping[str, object]:
    return {"method": "virtual_key" if record.arrival.credential is not None else "none"}


def _route(record: Record) -> Mapping[str, object]:
    decision = record.decision
    if decision is None:
        return {}
    return {"route": decision.route, "reason": decision.reason, "plan": [each.name for each in record.plan]}


def _cache_facts(record: Record) -> Mapping[str, object]:
    if record.call is None or record.call.idempotency_key is None:
        return {"kind": "replay", "result": "bypass"}
    return {"kind": "replay", "result": "miss" if record.claim is None or record.claim.hit is None else "hit"}


def _meter(record: Record) -> Mapping[str, object]:
    return {}


_FACTS = {"auth": _auth, "cache": _cache_facts, "route": _route, "meter": _meter}


def _attempt(attempt: Attempt, received: float) -> Row:
    provider = attempt.target.provider
    return {
        "number": attempt.number,
        "deployment": attempt.deployment,
        "provider": attempt.provider,
        "upstream_model": attempt.target.upstream_model,
        "address": provider.host,
        "port": provider.port,
        "reason": attempt.reason,
        "status": attempt.status,
        "error": attempt.error,
        "detail": attempt.detail,
        "started_ms": _milliseconds(attempt.started - received),
        "duration_ms": _milliseconds(attempt.ended - attempt.started),
        "first_byte_ms": None if attempt.first_byte is None else _milliseconds(attempt.first_byte - attempt.started),
        "upstream_request_id": attempt.request_id,
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
