"""How much of a span is exported, by OpenTelemetry's variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.trace.collector.variables import whole

_USUAL = 128


@dataclass(frozen=True, slots=True)
class SpanLimits:
    """How many attributes, events and links a span has at most, how many attributes an event, and how many characters the texts
    of either; None: as many as there are."""

    attributes: int = _USUAL
    length: int | None = None
    events: int = _USUAL
    links: int = _USUAL
    event_attributes: int = _USUAL
    event_length: int | None = None


def limits_of(environment: Mapping[str, str]) -> SpanLimits:
    """As the SDK: what is said for spans, or for events, goes before what is said for all; texts of events have no own limit."""

    def count(*names: str) -> int:
        found = whole(environment, names, _USUAL)
        return _USUAL if found is None else found

    every, length = "OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
    return SpanLimits(
        attributes=count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", every),
        length=whole(environment, ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length), None),
        events=count("OTEL_SPAN_EVENT_COUNT_LIMIT"),
        links=count("OTEL_SPAN_LINK_COUNT_LIMIT"),
        event_attributes=count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", every),
        event_length=whole(environment, (length,), None),
    )
