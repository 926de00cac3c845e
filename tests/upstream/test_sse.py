"""Events are cut out of bytes that arrive in any pieces, and no byte is lost or changed (R5)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Broken
from gateway.upstream.dialects import sse

LINES = st.sampled_from(
    [b"data: {}", b"data:x", b"data", "data: é✓".encode(), b": comment", b"event: e", b"id: 1", b"retry: 5"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Whole events with one kind of line end each."""
    parts = []
    for _ in range(draw(st.integers(1, 6))):
        end = draw(ENDS)
        parts += [line + end for line in draw(st.lists(LINES, min_size=1, max_size=3))]
        parts.append(end)
    return b"".join(parts)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        yield data[start:end]


def read(parts: Iterator[bytes]) -> bytes:
    splitter = sse.Splitter()
    return b"".join([splitter.feed(part) for part in parts]) + splitter.end()


@given(data=streams(), cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_any_pieces_give_back_every_byte_and_the_same_events(data: bytes, cuts: list[int]) -> None:
    whole, cut = read(iter([data])), read(pieces(data, cuts))

    assert whole == cut == data
    assert [sse.data_of(event) for event in sse.events(cut)] == [sse.data_of(event) for event in sse.events(data)]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\r\n\r\n", b"a"),
        (b"data: a\rdata: b\r\r", b"a\nb"),
        (b"event: x\ndata:  two\n\n", b" two"),
        (b"data\n\n", b""),
        (b": ping\n\n", None),
        (b"event: x\n\n", None),
        (b"database: x\n\n", None),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes | None) -> None:
    assert sse.data_of(event) == data


def test_a_byte_order_mark_is_taken_off_the_first_event_alone() -> None:
    splitter = sse.Splitter()

    assert splitter.feed(b"\xef\xbb\xbfdata: a\n\n") == b"data: a\n\n"
    assert splitter.feed(b"\xef\xbb\xbfdata: a\n\n") == b"\xef\xbb\xbfdata: a\n\n"


def test_an_event_that_never_ends_is_refused_and_not_kept() -> None:
    splitter = sse.Splitter()

    splitter.feed(b"x" * sse.MAX_EVENT)
    with pytest.raises(Broken) as refused:
        splitter.feed(b"x")

    assert refused.value.code == "upstream_too_large"
