"""From a record's row to the spans of its call: the server's, one for each stage that has something to tell, one per attempt.

Attributes follow OpenTelemetry's conventions for HTTP and generative AI, and ours begin with `llmgw.`. Money is in USD here,
as a double, since that is what trace backends add up; the record has it in whole nano-USD. Nothing that was said in the call
is told unless the policy captures it into spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gateway.core.attempt import FIRST_ATTEMPT
from gateway.core.errors import SUPERSEDED
from gateway.core.span import child_id
from gateway.trace.outcomes import TRIAL
from gateway.trace.providers import provider_name
from gateway.trace.row import answered
from gateway.trace.spans.messages import input_messages, output_messages, prompt
from gateway.trace.spans.span import Common, Event, Kind, Span, Trace, Value

Row = Mapping[str, Any]

_NANO = 1e9
_KEPT = 4096
"""Groups of attributes that are kept, of each kind."""
_REQUEST = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "reasoning_effort": "gen_ai.request.reasoning.level",
    "service_tier": "openai.request.service_tier",
    "dimensions": "gen_ai.embeddings.dimension.count",
}
"""A request's parameters by the conventions' names."""
_INTEGERS = frozenset({"gen_ai.request.max_tokens", "gen_ai.request.seed", "gen_ai.embeddings.dimension.count"})
_TEXTS = frozenset({"gen_ai.request.reasoning.level", "openai.request.service_tier"})
_OUTPUTS = {"text": "text", "json_object": "json", "json_schema": "json"}
_HARMLESS = (None, "client_disconnected", SUPERSEDED)
"""How an attempt may end without being a failure."""
_USAGE_PARTS = (
    ("cached_tokens", ("gen_ai.usage.cache_read.input_tokens",)),
    ("cache_write_tokens", ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens")),
    ("reasoning_tokens", ("gen_ai.usage.reasoning.output_tokens",)),
)


def trace_of(row: Row) -> Trace:
    """The trace that a record's row tells."""
    begin = round(row["at"] * _NANO)
    if row["outcome"] == TRIAL:
        return Trace(row["trace_id"], [_trial(row, begin)], row.get("trace_state", ""))
    root = int(row["span_id"], 16)
    spans = [_server(row, begin)]
    for number, stage in enumerate(row["stages"], start=1):
        spans.append(_stage(row, stage, f"{child_id(root, number):016x}", begin))
    served = answered(row)
    for attempt in row["attempts"]:
        id = f"{child_id(root, FIRST_ATTEMPT + attempt['number'] - 1):016x}"
        spans.append(_attempt(row, attempt, id, begin, is_answered=attempt is served))
    for span in spans[1:]:
        span.end = min(span.end, spans[0].end)  # rounded, a part may end after the whole
        span.begin = min(span.begin, span.end)
    return Trace(row["trace_id"], spans, row.get("trace_state", ""))


def _trial(row: Row, begin: int) -> Span:
    """Of a trial that has ended; its calls have traces of their own, or spans of this one."""
    told: dict[str, Value] = {f"llmgw.trial.{name}": value for name, value in row["trial"].items() if value is not None}
    end = begin + _nanoseconds(row["duration_ms"] or 0.0)
    span = Span("llmgw.trial", Kind.INTERNAL, row["span_id"], row["parent_span_id"], begin, end, Common(told), {})
    if (link := row.get("link")) is not None:
        span.link = link["trace_id"], link["span_id"]
    return span


def is_failure(row: Row) -> bool:
    """Whether the gateway or a provider failed, and not the caller."""
    return bool(row["status"] >= 500)


def _server(row: Row, begin: int) -> Span:
    code = row["error_code"]
    common = _server_common(
        row["method"],
        row["path"],
        row["status"],
        code,
        row["outcome"],
        row["org"],
        row["team"],
        row["key_id"],
        row["model"],
        row["policy"],
        row["route"],
        row["template"],
        row["cache"],
        row["failed_in"],
        len(row["attempts"]),
    )
    own: dict[str, Value] = {"llmgw.request.id": row["id"]}
    if row["overhead_ms"] is not None:
        own["llmgw.overhead.duration"] = row["overhead_ms"] / 1000
    if row["cost_nano_usd"] is not None:
        own["llmgw.cost.total"] = row["cost_nano_usd"] / _NANO
        own["llmgw.cost.estimated"] = row["estimated"]
    if row["user"] is not None:
        own["llmgw.user.id"] = row["user"]
    if row["conversation"] is not None:
        own["session.id"] = row["conversation"]
    if row["tags"]:
        own["llmgw.tags"] = row["tags"]
    own |= prompt(row)
    span = Span(
        f"{row['method']} {row['path']}",
        Kind.SERVER,
        row["span_id"],
        row["parent_span_id"],
        begin,
        begin + _nanoseconds(row["duration_ms"] or 0.0),  # nobody knows when a worker died
        common,
        own,
    )
    if code is not None:
        span.error = (row["error"] or code) if is_failure(row) else None
        span.events = (Event("exception", span.end, {"exception.type": code, "exception.message": row["error"] or ""}),)
    span.is_parent_remote = row["parent_span_id"] is not None
    if (link := row.get("link")) is not None:
        span.link = link["trace_id"], link["span_id"]
    return span


@lru_cache(_KEPT)
def _server_common(
    method: str, path: str, status: int, code: str | None, outcome: str, *known: str | int | None
) -> Common:
    values: dict[str, Value] = {
        "http.request.method": method,
        "url.path": path,
        "url.scheme": "http",
        "http.route": path,
        "http.response.status_code": status,
        "llmgw.outcome": outcome,
    }
    if code is not None:
        values["error.type"] = code
    return Common(values | {name: value for name, value in zip(_KNOWN, known, strict=True) if value is not None})


_KNOWN = (
    "llmgw.org.id",
    "llmgw.team.id",
    "llmgw.key.id",
    "llmgw.request.model",
    "llmgw.policy.version",
    "llmgw.route",
    "llmgw.template",
    "llmgw.cache",
    "llmgw.failed_in",
    "llmgw.upstream.attempts",
)


def _stage(row: Row, stage: Mapping[str, Any], id: str, begin: int) -> Span:
    name, error = stage["name"], stage.get("error")
    common, own = _STAGES[name](row, stage, error)
    started = begin + _nanoseconds(stage["started_ms"])
    span = Span(
        "llmgw." + name,
        Kind.INTERNAL,
        id,
        row["span_id"],
        started,
        started + _nanoseconds(stage["duration_ms"]),
        common,
        own,
    )
    if error is not None and is_failure(row):
        span.error = row["error"] or error
    return span


_Told = tuple[Common, dict[str, Value]]


def _auth(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    result = "ok" if error is None else "refused"
    return _common(error, ("llmgw.auth.method", stage["method"]), ("llmgw.auth.result", result)), {}


def _budget(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    own: dict[str, Value] = {}
    if stage["result"] == "denied":
        own = {attribute: stage[name] for name, attribute in _BUDGET.items() if name in stage}
        if stage.get("unit") == "usd":
            own |= {_BUDGET[name]: stage[name] / _NANO for name in ("limit", "remaining", "asked")}
    elif row["reserved_nano_usd"] is not None:
        own["llmgw.budget.unit"] = "usd"
        own["llmgw.budget.reserved"] = row["reserved_nano_usd"] / _NANO
        own["llmgw.budget.actual"] = (row["cost_nano_usd"] or 0) / _NANO
    return _common(error, ("llmgw.budget.result", stage["result"])), own


_BUDGET = {
    "scope": "llmgw.budget.scope",
    "budget": "llmgw.budget.id",
    "unit": "llmgw.budget.unit",
    "limit": "llmgw.budget.limit",
    "remaining": "llmgw.budget.remaining",
    "asked": "llmgw.budget.asked",
}


def _cache(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    own: dict[str, Value] = {name: row[field] for field, name in _CACHE.items() if row.get(field) is not None}
    if row.get("saved_nano_usd") is not None:
        own["llmgw.cache.saved"] = row["saved_nano_usd"] / _NANO
    return _common(error, ("llmgw.cache.kind", stage["kind"]), ("llmgw.cache.result", stage["result"])), own


_CACHE = {
    "cache_reason": "llmgw.cache.reason",
    "similarity": "llmgw.cache.similarity",
    "cache_entry": "llmgw.cache.entry",
}


def _route(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    plan = tuple(stage["plan"]) if "plan" in stage else None
    return _common(
        error,
        ("llmgw.policy.version", row["policy"]),
        ("llmgw.route.strategy", row["reason"]),
        ("llmgw.route.candidates", plan),
        ("llmgw.route.rule", row["route"]),
        ("llmgw.route.deployment", row["deployment"]),
    ), {}


def _meter(row: Row, stage: Mapping[str, Any], error: str | None) -> _Told:
    own: dict[str, Value] = {}
    if row["cost_nano_usd"] is not None:
        own["llmgw.cost.total"] = row["cost_nano_usd"] / _NANO
    return _common(error, ("llmgw.usage.estimated", bool(row["estimated"])), ("llmgw.cost.source", "price_table")), own


_STAGES = {"auth": _auth, "budget": _budget, "cache": _cache, "route": _route, "meter": _meter}


@lru_cache(_KEPT)
def _common(error: str | None, *pairs: tuple[str, Value | None]) -> Common:
    values = {name: value for name, value in pairs if value is not None}
    return Common(values if error is None else {**values, "error.type": error})


def _attempt(row: Row, attempt: Mapping[str, Any], id: str, begin: int, *, is_answered: bool) -> Span:
    """`is_answered`: what the row says of an answer is said of this attempt's."""
    error = _error_type(attempt)
    reasons = ("error",) if error is not None else tuple(row["finish_reasons"])
    known = (
        row["operation"],
        attempt["provider"],
        attempt["upstream_model"],
        attempt["address"],
        attempt["port"],
        attempt["number"],
        attempt["reason"],
        attempt["deployment"],
        attempt["status"],
        error,
        bool(row["stream"]),
        reasons if is_answered else (),
        row["response_model"] if is_answered else None,
        tuple(_parameters(row["parameters"])),
    )
    own: dict[str, Value] = {}
    if row["conversation"] is not None:
        own["gen_ai.conversation.id"] = row["conversation"]
    own |= prompt(row)
    if attempt["upstream_request_id"] is not None:
        own["llmgw.upstream.request_id"] = attempt["upstream_request_id"]
    if is_answered:
        _tell_answer(row, attempt, reasons, own)
    if "served" in attempt:
        own["llmgw.attempt.served"] = attempt["served"]
        _tell_usage(attempt, own, cost="llmgw.attempt.cost")
    if "because" in attempt:
        own["llmgw.attempt.because"] = attempt["because"]
    started = begin + _nanoseconds(attempt["started_ms"])
    span = Span(
        f"{row['operation']} {attempt['upstream_model']}",
        Kind.CLIENT,
        id,
        row["span_id"],
        started,
        started + _nanoseconds(attempt["duration_ms"]),
        _attempt_common(known),
        own,
    )
    if error not in _HARMLESS:
        span.error = attempt["detail"] or error
    return span


@lru_cache(_KEPT)
def _attempt_common(known: tuple[Any, ...]) -> Common:
    """`known` as `_attempt` gives it: one key, for what a span of fifteen attributes has in common with the next one."""
    operation, provider, model, address, port, number, reason, deployment, status, *rest = known
    error, is_stream, reasons, response_model, parameters = rest
    values: dict[str, Value] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider_name(address, provider),
        "gen_ai.request.model": model,
        "llmgw.attempt.number": number,
        "llmgw.attempt.reason": reason,
        "llmgw.deployment.id": deployment,
        "llmgw.provider": provider,
        **dict(parameters),
    }
    if address:
        values |= {"server.address": address, "server.port": port}
    if is_stream:
        values["gen_ai.request.stream"] = True
    if status is not None:
        values["http.response.status_code"] = status
    if error is not None:
        values["error.type"] = error
    if reasons:
        values["gen_ai.response.finish_reasons"] = reasons
    if response_model is not None:
        values["gen_ai.response.model"] = response_model
    return Common(values)


def _error_type(attempt: Mapping[str, Any]) -> str | None:
    error = attempt["error"]
    return "client_disconnected" if error == "client_closed" else error


def _parameters(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Those of the type that the conventions give them: a client may have written anything."""
    for name, value in parameters.items():
        attribute = _REQUEST.get(name)
        if attribute in _TEXTS:
            if isinstance(value, str):
                yield attribute, value
        elif attribute is not None:
            if (number := _number(value)) is not None and (attribute not in _INTEGERS or number == int(number)):
                yield attribute, int(number) if attribute in _INTEGERS else float(number)
        elif name == "n" and value != 1 and (number := _number(value)) is not None:
            yield "gen_ai.request.choice.count", int(number)
        elif name == "response_format" and value in _OUTPUTS:
            yield "gen_ai.output.type", _OUTPUTS[value]
        elif name == "encoding_format":
            yield "gen_ai.request.encoding_formats", (str(value),)


def _number(value: Any) -> int | float | None:
    """A number that a span can hold."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and -(2**63) <= value < 2**63 else None


def _tell_answer(row: Row, attempt: Mapping[str, Any], reasons: Sequence[str], own: dict[str, Value]) -> None:
    if "served" not in attempt:
        _tell_usage(row, own, cost="llmgw.cost.total")
    if row["response_id"] is not None:
        own["gen_ai.response.id"] = row["response_id"]
    if row["stream"]:
        own["gen_ai.response.time_to_first_chunk"] = attempt["first_byte_ms"] / 1000
        own["llmgw.stream.chunks"] = row["chunks"] or 0
    if row.get("content_in_spans") and (content := row.get("content")) is not None:
        own["gen_ai.input.messages"] = input_messages(content["input"])
        own["gen_ai.output.messages"] = output_messages(content["output"], reasons)


def _tell_usage(used: Mapping[str, Any], own: dict[str, Value], *, cost: str) -> None:
    """Of a call that has one answer, or of one answer of several."""
    if used["input_tokens"] is not None:
        own["gen_ai.usage.input_tokens"] = used["input_tokens"]
        own["gen_ai.usage.output_tokens"] = used["output_tokens"]
        for name, attributes in _USAGE_PARTS:
            if used.get(name):
                for attribute in attributes:
                    own[attribute] = used[name]
    if used["estimated"]:
        own["llmgw.usage.estimated"] = True
    if used["cost_nano_usd"] is not None:
        own[cost] = used["cost_nano_usd"] / _NANO


def _nanoseconds(milliseconds: float) -> int:
    return int(milliseconds * 1_000_000)
