"""The span of an attempt: what a provider was asked, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gateway.core.errors import SUPERSEDED
from gateway.trace.providers import provider_name
from gateway.trace.spans.messages import input_messages, output_messages, prompt
from gateway.trace.spans.span import KEPT, NANO, Common, Event, Kind, Span, Value, nanoseconds

Row = Mapping[str, Any]

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


def attempt_span(row: Row, attempt: Mapping[str, Any], id: str, begin: int, *, is_answered: bool) -> Span:
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
    started = begin + nanoseconds(attempt["started_ms"])
    span = Span(
        f"{row['operation']} {attempt['upstream_model']}",
        Kind.CLIENT,
        id,
        row["span_id"],
        started,
        started + nanoseconds(attempt["duration_ms"]),
        _attempt_common(known),
        own,
    )
    if "dropped" in attempt:
        span.events = (Event("llmgw.dropped", span.begin, {"llmgw.dropped.fields": attempt["dropped"]}),)
    if error not in _HARMLESS:
        span.error = attempt["detail"] or error
    return span


@lru_cache(KEPT)
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
        own[cost] = used["cost_nano_usd"] / NANO
