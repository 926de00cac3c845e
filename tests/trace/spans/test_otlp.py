"""What we encode is what the SDK's own encoder makes of the same spans."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from gateway.trace.spans.limits import SpanLimits
from gateway.trace.spans.otlp import SCOPE, UPSTREAM_SCOPE, Encoder, request, scoped
from gateway.trace.spans.span import Common, Event, Kind, Span, Trace, Value

SCHEMA, VERSION = "https://opentelemetry.io/schemas/1.41.0", "0.1.0"
ABOUT = Resource({"service.name": "llmgw", "process.pid": 7, "host.name": "ü", "on": True, "share": 0.5})
KINDS = {Kind.INTERNAL: SpanKind.INTERNAL, Kind.SERVER: SpanKind.SERVER, Kind.CLIENT: SpanKind.CLIENT}

texts = st.text(max_size=20) | st.sampled_from(["", "é", "\U0001f600", "x" * 200, "\0"])
values: st.SearchStrategy[Value] = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-300, 300),
    st.floats(allow_nan=False),
    st.lists(texts, max_size=4),
    st.lists(texts, max_size=4).map(tuple),
)
attributes = st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=6)
times = st.integers(0, 2**63 - 1)
span_ids = st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}")
trace_ids = st.integers(1, 2**128 - 1).map(lambda number: f"{number:032x}")
states = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), st.sampled_from(["1", "a:b"]), max_size=3
)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    common, parent = draw(attributes), draw(st.none() | span_ids)
    return Span(
        draw(texts),
        draw(st.sampled_from(list(Kind))),
        draw(span_ids),
        parent,
        draw(times),
        draw(times),
        Common(common),
        {name: value for name, value in draw(attributes).items() if name not in common},
        draw(st.none() | texts),
        tuple(draw(st.lists(st.builds(Event, texts, times, attributes), max_size=2))),
        draw(st.none() | st.tuples(trace_ids, span_ids)),
        parent is not None and draw(st.booleans()),
    )


@settings(deadline=None, max_examples=300)
@given(trace_ids, st.lists(spans(), max_size=4), states)
def test_a_trace_is_encoded_as_the_sdk_encodes_it(trace_id: str, given: list[Span], state: Mapping[str, str]) -> None:
    trace = Trace(trace_id, given, ",".join(f"{name}={value}" for name, value in state.items()))

    encoder = Encoder(SpanLimits())
    for _ in range(2):  # the second time from what was kept
        assert encoded(trace, encoder) == by_the_sdk(trace, state)


@settings(deadline=None, max_examples=150)
@given(
    spans(),
    st.builds(
        SpanLimits,
        st.integers(0, 8),
        st.none() | st.integers(0, 12),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 4),
        st.none() | st.integers(0, 12),
    ),
)
def test_limits_cut_texts_and_count_what_they_drop(span: Span, limits: SpanLimits) -> None:
    trace = Trace("1" * 32, [span])

    (found,) = all_spans(encoded(trace, Encoder(limits)))

    assert found == all_spans(by_the_sdk(trace, {}, limits))[0]
    assert found.dropped_attributes_count == max(0, len(span.attributes) - limits.attributes)
    assert found.dropped_events_count == max(0, len(span.events) - limits.events)
    assert found.dropped_links_count == (span.link is not None and limits.links == 0)


def test_what_many_spans_have_alike_is_encoded_once_and_means_the_same() -> None:
    encoder, common = Encoder(SpanLimits()), Common({"a": "b", "n": 1, "long": "x" * 500})
    first, second = (Span("s", Kind.CLIENT, f"{id:016x}", None, 1, 2, common, {"own": id}) for id in (1, 2))

    told = [encoded(Trace("1" * 32, [span]), encoder) for span in (first, second, first)]

    assert told == [by_the_sdk(Trace("1" * 32, [span]), {}) for span in (first, second, first)]


def test_a_lone_surrogate_is_told_as_a_question_mark_where_the_sdk_gives_up() -> None:
    odd: dict[str, Value] = {"text": "a\ud800b", "texts": ["\udfff"]}
    span = Span("na\ud800me", Kind.SERVER, "1" * 16, None, 1, 2, Common({}), odd, error="\ud800")

    (found,) = all_spans(encoded(Trace("1" * 32, [span]), Encoder(SpanLimits())))

    assert (found.name, found.status.message) == ("na?me", "?")
    assert [found.attributes[0].value.string_value, found.attributes[1].value.array_value.values[0].string_value] == [
        "a?b",
        "?",
    ]


def test_a_number_that_otlp_does_not_have_is_left_out_as_the_sdk_does() -> None:
    own: dict[str, Value] = {"huge": 2**63, "small": -(2**63) - 1, "last": 1, "endless": math.inf}
    span = Span("s", Kind.SERVER, "1" * 16, None, 1, 2, Common({}), own)

    (found,) = all_spans(encoded(Trace("1" * 32, [span]), Encoder(SpanLimits())))

    assert [pair.key for pair in found.attributes] == ["last", "endless"]


def test_kept_attributes_are_bounded() -> None:
    encoder = Encoder(SpanLimits())

    for number in range(50_000):
        span = Span(f"s{number}", Kind.SERVER, "1" * 16, None, 1, 2, Common({}), {"id": str(number)})
        encoder.encode(Trace("1" * 32, [span]))

    assert len(encoder._pairs) <= 20_000
    assert len(encoder._names) <= 20_000


def encoded(trace: Trace, encoder: Encoder) -> ExportTraceServiceRequest:
    ours, attempts = encoder.encode(trace)
    scopes = [(SCOPE, ours), (UPSTREAM_SCOPE, attempts)]
    told = [scoped(scope, VERSION, SCHEMA, [spans]) for scope, spans in scopes if spans]
    if not told:
        return ExportTraceServiceRequest()
    found = ExportTraceServiceRequest()
    found.ParseFromString(request(Encoder(SpanLimits()).resource(ABOUT.attributes), told))
    return found


def by_the_sdk(trace: Trace, state: Mapping[str, str], limits: SpanLimits | None = None) -> ExportTraceServiceRequest:
    ours = [span for span in trace.spans if span.kind is not Kind.CLIENT]
    attempts = [span for span in trace.spans if span.kind is Kind.CLIENT]
    return encode_spans([readable(span, trace, state, limits) for span in (*ours, *attempts)])


def readable(span: Span, trace: Trace, state: Mapping[str, str], limits: SpanLimits | None) -> ReadableSpan:
    def context(span_id: str, trace_id: str = trace.trace_id, *, remote: bool = False) -> SpanContext:
        told = TraceState(list(state.items()))
        return SpanContext(int(trace_id, 16), int(span_id, 16), remote, TraceFlags(1), told)

    parent = None if span.parent_span_id is None else context(span.parent_span_id, remote=span.is_parent_remote)
    scope = UPSTREAM_SCOPE if span.kind is Kind.CLIENT else SCOPE
    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=parent,
        resource=ABOUT,
        attributes=bounded(span.attributes, limits.attributes, limits.length) if limits else span.attributes,
        events=BoundedList.from_seq(
            limits.events if limits else None,
            [SdkEvent(event.name, event_attributes(event, limits), event.at) for event in span.events],
        ),
        links=BoundedList.from_seq(
            limits.links if limits else None,
            [Link(context(span.link[1], span.link[0], remote=True))] if span.link else [],
        ),
        kind=KINDS[span.kind],
        status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
        start_time=span.begin,
        end_time=span.end,
        instrumentation_scope=InstrumentationScope(scope, VERSION, SCHEMA),
    )


def event_attributes(event: Event, limits: SpanLimits | None) -> Any:
    return (
        event.attributes if limits is None else bounded(event.attributes, limits.event_attributes, limits.event_length)
    )


def bounded(given: Mapping[str, Any], most: int, length: int | None) -> Any:
    """The SDK drops the oldest where the specification says to drop what comes too late, so it is given the first ones."""
    kept = dict(list(given.items())[:most])
    found = BoundedAttributes(most, kept, max_value_len=length)
    found.dropped = len(given) - len(kept)
    return found


def all_spans(told: ExportTraceServiceRequest) -> list[Any]:
    return [span for resource in told.resource_spans for scope in resource.scope_spans for span in scope.spans]
