"""The durable form of a record: one flat row of plain JSON values, which traces, metrics and admins are told from.

Times in UTC seconds or milliseconds, money in nano-USD. docs/observability.md says what each field is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gateway.core.attempt import Attempt
from gateway.core.call import Call
from gateway.core.deployment import Strategy
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
_NAMES = frozenset(PARAMETERS)
_OF_CACHE = (
    *("cache", "cache_kind", "cache_reason", "similarity"),
    *("cache_entry", "cache_answer", "saved_nano_usd", "saved_ms"),
)
_OF_PROMPT = ("name", "version", "hash", "reason", "drawn", "unit", "route", "wanted", "is_model")
_UNDECIDED = STAGES.index("cache")
"""Stages passed by a call for which no model has been chosen yet."""
_LONGEST = 256
_ENDLESS = 10**308
"""No float is larger."""


def row_of(record: Record) -> Row:
    call, tenant, bill, served, decision = record.call, record.tenant, record.bill, record.served, record.decision
    who = record.attempts.teller
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
        "parameters": _parameters(call) if call else {},
        "policy": record.policy,
        "template": None if call is None or call.prompt is None else call.prompt.label,
        "route": decision.route if decision else None,
        "reason": decision.reason if decision else None,
        "decision": dict(decision.told()) if decision else None,
        "basis": _basis(record),
        **_cache(record),
        "deployment": who.deployment[:_LONGEST] if who else None,
        "provider": who.provider if who else None,
        "upstream_model": who.target.upstream_model[:_LONGEST] if who else None,
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
        "waited_ms": _milliseconds(record.attempts.waited),
        "chunks": said.chunks if said else None,
        "dropped": _dropped(record),
        "stages": _stages(record),
        "attempts": [_attempt(each, record) for each in record.attempts],
    }
    if parent is not None and parent.trace_id != record.span.trace_id:
        row["parent_span_id"], row["link"] = None, _link(record)
    if record.rules.capture is not Capture.OFF and call is not None:
        row["content"] = content(call, served, tenant, record.rules)
        row["content_in_spans"] = record.rules.capture is Capture.SPANS
    if call is not None and (prompt := call.prompt) is not None:
        row["prompt"] = {name: getattr(prompt, name) for name in _OF_PROMPT}
    if record.tried is not None:
        row["route"], row["trial"] = record.tried.route, asdict(record.tried)
    if (end := record.hung_up_by) is not None:
        row["session"] = {"closed_by": end.by, "close_code": end.code, "responses": end.responses}
    if record.said is not None:
        row["feedback"] = {
            "request_id": record.said.request_id,
            "rating": "good" if record.said.is_good else "bad",
            "comment": record.said.comment,
        }
    if record.span.state:
        row["trace_state"] = record.span.state
    return row


def answered(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The attempt whose answer the row tells of: the one that was served, or else the last, if that had one."""
    attempts: Sequence[Mapping[str, Any]] = row["attempts"]
    if not attempts:
        return None
    served = next((each for each in attempts if each.get("served")), None)
    last = attempts[-1]
    return served or (last if last["first_byte_ms"] is not None and "served" not in last else None)


def storable(value: object) -> object:
    """The value without lone surrogates and endless numbers, which clients can cause and no JSON of ours can hold."""
    match value:
        case int() if not -(2**63) <= value < 2**63:
            return float(value) if abs(value) < _ENDLESS else None
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [storable(each) for each in value]
        case dict():
            return {str(storable(name)): storable(each) for name, each in value.items()}
        case _:
            return value


def _basis(record: Record) -> Row | None:
    if record.based is None:
        return None
    decision = record.decision
    if decision is None:
        return dict(record.based.told(is_by_conversation=False, sent=None))
    return dict(record.based.told(is_by_conversation=decision.conversation is not None, sent=decision.sent))


def _link(record: Record) -> Row | None:
    if record.parent is None or record.rules.inbound is not Inbound.LINK:
        return None
    return {"trace_id": f"{record.parent.trace_id:032x}", "span_id": f"{record.parent.span_id:016x}"}


def _failed_in(record: Record) -> str | None:
    if record.error is None:
        return None
    passed = len(record.passed)
    if record.hold is not None and record.hold.asked and record.hold.asked[-1][2] == "denied":
        return "budget"
    if passed == _UNDECIDED and record.decision is None:
        return "route"
    return STAGES[passed] if passed < len(STAGES) else "upstream"  # an answer that breaks off has been metered


def _cache(record: Record) -> Row:
    claim = record.claim
    if claim is None:
        return dict.fromkeys(_OF_CACHE)
    saved = claim.saved
    values = (
        claim.result,
        claim.kind,
        claim.reason,
        claim.similarity,
        claim.entry,
        claim.answer,
        None if saved is None else saved[0],
        None if saved is None else _milliseconds(saved[1]),
    )
    return dict(zip(_OF_CACHE, values, strict=True))


def _dropped(record: Record) -> list[str]:
    served = record.attempts.served
    return [] if served is None else list(served.dropped)


def _parameters(call: Call) -> Row:
    fields = call.fields
    found: Row = {}
    for name in _NAMES.intersection(fields):
        value = fields[name]
        if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _LONGEST):
            found[name] = value
    kind = fields.get("response_format")
    if isinstance(kind, dict):
        found["response_format"] = str(kind.get("type"))[:_LONGEST]
    return found


def _stages(record: Record) -> list[Row]:
    """What each stage did that the call came to and that has something to tell, but for the attempts."""
    received, passed, ended = record.received, record.passed, record.ended
    count, hold = len(passed), record.hold
    stages: list[Row] = [
        {
            "name": "auth",
            "started_ms": 0.0,
            "duration_ms": _milliseconds((passed[0] if count else ended) - received),
            "method": "virtual_key" if record.arrival.credential is not None else "none",
        }
    ]
    if count > 3:
        stages.append(_stage("route", received, passed[3], record.decided or ended))
        if record.decision is not None:
            stages[-1]["plan"] = [each.name[:_LONGEST] for each in record.plan]
            if (strategy := record.decision.model.strategy) is not Strategy.WEIGHTED:
                stages[-1]["strategy"] = strategy.value
    if record.decided is not None and (told := _told_by_cache(record)) is not None:
        stages.append(_stage("cache", received, record.decided, passed[4] if count > 4 else ended))
        stages[-1] |= told
    if hold is not None:
        for began, asked_until, result in hold.asked:
            stages.append(_stage("budget", received, began, asked_until))
            stages[-1]["result"] = result
            if result == "denied" and hold.refused_by is not None:
                stages[-1] |= hold.refused_by
    if count > 6:
        who = record.attempts.served
        began = who.ended if who is not None else passed[6]
        stages.append(_stage("meter", received, began or passed[6], passed[7] if count > 7 else ended))
    if record.error is not None:
        _blame(stages, _failed_in(record), record.error.code)
    return stages


def _told_by_cache(record: Record) -> Row | None:
    """None where nothing was asked for and nothing looked up."""
    claim, call = record.claim, record.call
    has_key = call is not None and call.idempotency_key is not None
    if claim is None or claim.result == "bypass":
        if has_key:
            return {"kind": "replay", "result": "miss"}
        return None if claim is None or claim.reason == "no_rule" else {"kind": "exact", "result": "bypass"}
    return {"kind": claim.kind or "exact", "result": claim.result}


def _blame(stages: list[Row], name: str | None, code: str) -> None:
    """Notes the error at the stage that the call did not pass."""
    for stage in reversed(stages):
        if stage["name"] == name:
            stage["error"] = code
            return


def _stage(name: str, received: float, began: float, ended: float) -> Row:
    return {"name": name, "started_ms": _milliseconds(began - received), "duration_ms": _milliseconds(ended - began)}


def _attempt(attempt: Attempt, record: Record) -> Row:
    provider, received = attempt.target.provider, record.received
    row: Row = {
        "number": attempt.number,
        "deployment": attempt.deployment[:_LONGEST],
        "provider": attempt.provider,
        "upstream_model": attempt.target.upstream_model[:_LONGEST],
        "address": provider.host,
        "port": provider.port,
        "reason": attempt.reason,
        "status": attempt.status,
        "error": attempt.error,
        "fault": attempt.fault,
        "detail": attempt.detail,
        "started_ms": _milliseconds(attempt.started - received),
        "duration_ms": _milliseconds(attempt.ended - attempt.started),
        "first_byte_ms": None if attempt.first_byte is None else _milliseconds(attempt.first_byte - attempt.started),
        "upstream_request_id": attempt.request_id,
    }
    if attempt.dropped:
        row["dropped"] = list(attempt.dropped)
    if attempt.because is not None:
        row["because"] = attempt.because
    if (bill := attempt.paid) is not None:
        row["served"] = attempt is record.attempts.served
        row |= {"input_tokens": bill.usage.input, "output_tokens": bill.usage.output}
        row |= {"cached_tokens": bill.usage.cached, "reasoning_tokens": bill.usage.reasoning}
        row |= {"estimated": bill.usage.estimated, "cost_nano_usd": bill.cost}
    return row


def _milliseconds(seconds: float) -> float:
    return int(seconds * 1e6 + 0.5) / 1000
