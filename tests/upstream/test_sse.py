"""Events are cut out of bytes that arrive in any pieces, and no byte is lost or changed (R5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.errors import Broken
from gateway.upstream.dialects import sse

BOM = b"\xef\xbb\xbf"
LINES = st.sampled_from(
    [b"", b"data: {}", b"data:x", b"data", "data: é✓".encode(), b": comment", b"event: e", b"id: 1", b"retry: 5"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Lines, each with its own kind of line end; some streams begin with a byte order mark, some lack their last end."""
    lines = draw(st.lists(st.tuples(LINES, ENDS), max_size=12))
    data = b"".join(line + end for line, end in lines)
    return draw(st.sampled_from([b"", BOM])) + data + draw(st.sampled_from([b"", b"data: last"]))


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        yield data[start:end]


def read(parts: Iterable[bytes]) -> tuple[bytes, list[bytes]]:
    """All bytes that come out, and the data of the events."""
    splitter = sse.Splitter()
    blocks = [*(splitter.feed(part) for part in parts), splitter.end()]
    data = (sse.data_of(event) for block in blocks for event in sse.events(block))
    return b"".join(blocks), [each for each in data if each is not None]


def as_the_standard_reads(data: bytes) -> list[bytes]:
    """The data of all events by the letter of the HTML standard, section 9.2.6; an unfinished last one counts as well."""
    found: list[list[bytes]] = [[]]
    for line in re.split(rb"\r\n|\r|\n", data.removeprefix(BOM)):
        field, _, value = line.partition(b":")
        if not line:
            found.append([])
        elif field == b"data":
            found[-1].append(value.removeprefix(b" "))
    return [b"\n".join(lines) for lines in found if lines]


@given(data=streams(), cuts=st.lists(st.integers(0, 10_000), max_size=12))
@example(data=BOM + b"data: a\n\n", cuts=[1])
@example(data=b"data: a\r\n\r\ndata: b\n\n", cuts=[])
@example(data=b"data: a\r\r\ndata: b\r\r", cuts=[9])
def test_any_pieces_give_every_byte_and_the_events_of_the_standard(data: bytes, cuts: list[int]) -> None:
    passed, events = read(pieces(data, cuts))

    assert passed == data.removeprefix(BOM)
    assert events == as_the_standard_reads(data)


@given(data=streams())
def test_single_bytes_give_the_same_events_as_the_whole(data: bytes) -> None:
    assert read(data[place : place + 1] for place in range(len(data))) == read([data])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_event_is_given_as_soon_as_its_blank_line_is_there(end: bytes) -> None:
    event = b"data: a" + end + end
    splitter = sse.Splitter()

    given_out = [splitter.feed(event[place : place + 1]) for place in range(len(event))]

    assert given_out == [b""] * (len(event) - 1) + [event]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\r\n\r\n", b"a"),
        (b"data: a\rdata: b\r\r", b"a\nb"),
        (b"event: x\ndata:  two\n\n", b" two"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"data: a\ndata\ndata: b\n\n", b"a\n\nb"),
        (b": ping\n\n", None),
        (b"event: x\n\n", None),
        (b"database: x\n\n", None),
        (b" data: x\n\n", None),
        (b"\n\n", None),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes | None) -> None:
    assert sse.data_of(event) == data


def test_a_byte_order_mark_is_taken_off_the_first_event_alone() -> None:
    splitter = sse.Splitter()

    assert splitter.feed(BOM + b"data: a\n\n") == b"data: a\n\n"
    assert splitter.feed(BOM + b"data: a\n\n") == BOM + b"data: a\n\n"


def test_what_lacks_its_blank_line_is_left_for_the_end() -> None:
    splitter = sse.Splitter()

    assert splitter.feed(b"data: a\n\ndata: b\n") == b"data: a\n\n"
    assert (splitter.end(), splitter.end()) == (b"data: b\n", b"")


def test_an_event_that_never_ends_is_refused() -> None:
    splitter = sse.Splitter()

    splitter.feed(b"x" * sse.MAX_EVENT)
    with pytest.raises(Broken) as refused:
        splitter.feed(b"x")

    assert refused.value.code == "upstream_too_large"


def test_many_events_in_one_piece_may_be_larger_than_one_event_may_be() -> None:
    event = b"data: " + b"x" * 1000 + b"\n\n"

    assert read([event * 1000]) == (event * 1000, [b"x" * 1000] * 1000)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_large_event_in_small_pieces_is_not_read_again_with_each(end: bytes) -> None:
    """Reading four times as much takes about four times as long; reading all of it again with each piece, sixteen."""

    def seconds(size: int) -> float:
        line = b"data: xxxxxxxx" + end
        data = (line * (size // len(line) + 1))[:size]
        times = []
        for _ in range(3):
            splitter = sse.Splitter()
            began = process_time()
            for place in range(0, size, 64):
                splitter.feed(data[place : place + 64])
            times.append(process_time() - began)
        return min(times)

    assert seconds(96 * 1024) < 9 * seconds(24 * 1024)
