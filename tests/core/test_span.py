"""Trace contexts are read from requests as OpenTelemetry's own propagator reads them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.core.span import SpanContext, child_id, read_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"

hexadecimal = st.text("0123456789abcdef", min_size=1, max_size=34)
parts = st.tuples(
    st.sampled_from(["00", "01", "cc", "ff", "0", "0G", "FF"]) | hexadecimal,
    st.sampled_from([TRACE, "0" * 32, TRACE.upper(), TRACE[1:]]) | hexadecimal,
    st.sampled_from([SPAN, "0" * 16, SPAN + "0"]) | hexadecimal,
    st.sampled_from(["00", "01", "02", "03", "ff", "1", "0x"]) | hexadecimal,
    st.sampled_from(["", "-", "-what-comes-later", " ", "\t", "x"]),
)
parents = parts.map(lambda each: "-".join(each[:4]) + each[4]) | st.text(max_size=60)
members = st.sampled_from(
    [
        "a=1",
        "vendor=abc",
        "t@v=x y",
        "1t@v=1",
        "1t=1",
        "A=1",
        "a=",
        "a= ",
        "a=\xe9",
        "=1",
        "a",
        "a=b=c",
        "",
        "  b=2  ",
        "a@b@c=1",
    ]
) | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=12)
states = st.none() | st.lists(members, max_size=6).map(",".join)


@settings(deadline=None, max_examples=1000)
@given(parents, states)
def test_a_context_is_read_as_the_sdk_reads_it(parent: str, state: str | None) -> None:
    if not all(ord(character) < 256 for character in parent) or "\n" in parent:
        return  # no header can hold it

    found = read_context(parent.encode("latin-1"), None if state is None else state.encode("latin-1"))

    assert found == by_the_sdk(parent, state)


@pytest.mark.parametrize(
    "state",
    ["x" * 600, ",".join(f"k{number}=1" for number in range(33)), "a=1,a=2", "a=1,b", "a=" + "x" * 257],
    ids=["too long", "too many", "twice", "no value", "a long value"],
)
def test_a_state_that_is_none_is_dropped_and_the_parent_is_kept(state: str) -> None:
    found = read_context(GOOD.encode(), state.encode())

    assert found == SpanContext(int(TRACE, 16), int(SPAN, 16), is_sampled=True) == by_the_sdk(GOOD, state)


def test_a_context_is_written_as_it_is_read() -> None:
    found = read_context(GOOD.encode(), b"a=1")

    assert found is not None
    assert found.traceparent() == GOOD


@given(st.integers(1, 2**64 - 1))
def test_children_are_none_of_them_nothing_and_all_of_them_different(span_id: int) -> None:
    children = [child_id(span_id, number) for number in range(1, 40)]

    assert all(0 < child < 2**64 for child in children)
    assert len({span_id, *children}) == 40
    assert children == [child_id(span_id, number) for number in range(1, 40)]


def by_the_sdk(parent: str, state: str | None) -> SpanContext | None:
    carrier = {"traceparent": parent} if state is None else {"traceparent": parent, "tracestate": state}
    found = trace.get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    if not found.is_valid:
        return None
    return SpanContext(found.trace_id, found.span_id, found.trace_flags.sampled, found.trace_state.to_header())
