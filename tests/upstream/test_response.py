"""A response reads the same in whatever pieces it arrives, and what is wrong with it is found in all of them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Broken, Unavailable, UpstreamError
from gateway.upstream.response import ResponseReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKS = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = {
    "another protocol, which no call asks for": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"",
        False,
    ),
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    "chunks": (CHUNKS + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", b"hello", True),
    "chunks in capitals": (
        CHUNKS.replace(b"chunked", b"Chunked") + b"A\r\n0123456789\r\n0\r\n\r\n",
        b"0123456789",
        True,
    ),
    "trailers": (CHUNKS + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nETag: x\r\n\r\n", b"hello", True),
    "an interim response": (
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
        b"hi",
        True,
    ),
    "several interim responses": (
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + b"Content-Length: 2\r\n\r\nhi",
        b"hi",
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "a last one": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
    "the end of the connection": (OK + b"\r\nhello", b"hello", False),
    "nothing till the end of the connection": (OK + b"\r\n", b"", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
    "HTTP/1.0 that stays": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        b"hi",
        True,
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi", True),
}
BAD = {
    "both framings": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a length that is none": OK + b"Content-Length: -5\r\n\r\nhello",
    "no HTTP": b"HELLO\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "a NUL in a header": OK + b"X: a\0b\r\n\r\n",
    "a head that never ends": OK + b"X: " + b"a" * 100_000,
    "interim responses that never end": b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
    "too many headers": OK + b"X: y\r\n" * 300 + b"\r\n",
    "a chunk of no size": CHUNKS + b"xyz\r\n",
    "a chunk longer than it says": CHUNKS + b"2\r\nhello\r\n0\r\n\r\n",
    "a chunk of a negative size": CHUNKS + b"-2\r\nhe\r\n0\r\n\r\n",
}


def read(parts: Iterable[bytes]) -> tuple[ResponseReader, bytes]:
    reader = ResponseReader()
    body = b""
    for piece in filter(None, parts):
        reader.feed(piece)
        body += reader.take()
    if not reader.is_complete:
        reader.end()
    return reader, body


@pytest.mark.parametrize("name", GOOD)
def test_a_response_reads_the_same_wherever_it_is_cut(name: str) -> None:
    data, expected, reusable = GOOD[name]
    for cut in range(len(data) + 1):
        reader, body = read((data[:cut], data[cut:]))

        assert (body, reader.is_complete, reader.is_reusable) == (expected, True, reusable), cut


@pytest.mark.parametrize("name", GOOD)
def test_a_response_reads_the_same_byte_by_byte(name: str) -> None:
    data, expected, reusable = GOOD[name]

    reader, body = read(data[place : place + 1] for place in range(len(data)))

    assert (body, reader.is_complete, reader.is_reusable) == (expected, True, reusable)


@given(body=st.binary(max_size=300), sizes=st.lists(st.integers(1, 40)), cuts=st.lists(st.integers(0, 2000)))
def test_chunks_of_any_size_in_any_pieces_are_the_body(body: bytes, sizes: list[int], cuts: list[int]) -> None:
    data, start = CHUNKS, 0
    for size in [*sizes, len(body) or 1]:
        if chunk := body[start : start + size]:
            data += b"%x\r\n%b\r\n" % (len(chunk), chunk)
        start += size
    data += b"0\r\n\r\n"
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})

    reader, found = read(data[a:b] for a, b in pairwise(places))

    assert (found, reader.is_reusable) == (body[:start], True)


@pytest.mark.parametrize(
    "name", ["a length", "chunks", "trailers", "an interim response", "a last one", "HTTP/1.0", "no content"]
)
def test_a_response_that_ends_early_is_broken_wherever_it_ends(name: str) -> None:
    data = GOOD[name][0]
    for cut in range(len(data)):
        reader = ResponseReader()
        if cut:
            reader.feed(data[:cut])

        with pytest.raises(Broken if reader.is_headed else Unavailable):
            reader.end()


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("size", [1, 700, 10_000])
def test_what_is_no_response_is_refused_in_any_pieces(name: str, size: int) -> None:
    data = BAD[name]
    with pytest.raises(UpstreamError):
        read(data[place : place + size] for place in range(0, len(data), size))


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: OK + data))
def test_whatever_a_provider_sends_is_a_response_or_an_error_of_the_provider(data: bytes) -> None:
    with suppress(UpstreamError):
        read([data])


@pytest.mark.parametrize("name", ["a length", "chunks", "trailers", "no content"])
@pytest.mark.parametrize("surplus", [b"x", b"\0", OK + b"Content-Length: 4\r\n\r\nevil", CHUNKS + b"4\r\nevil"])
def test_bytes_behind_a_response_make_the_connection_unfit_for_another(name: str, surplus: bytes) -> None:
    data, expected, _ = GOOD[name]
    for cut in (3, len(data) - 1, len(data), len(data) + 1):
        reader, body = read(((data + surplus)[:cut], (data + surplus)[cut:]))

        assert (body, reader.is_complete, reader.is_reusable) == (expected, True, False), cut
        assert reader.status in (200, 204)
        assert b"evil" not in reader.headers


@pytest.mark.parametrize("first", [name for name, (_, _, reusable) in GOOD.items() if reusable])
@pytest.mark.parametrize("second", GOOD)
def test_a_connection_carries_one_response_after_the_other(first: str, second: str) -> None:
    reader = ResponseReader()
    for name in (first, second):
        data, expected, reusable = GOOD[name]
        reader.expect_next()
        assert not reader.is_headed
        assert not reader.is_complete
        reader.feed(data[:20])
        reader.feed(data[20:])
        if not reader.is_complete:
            reader.end()

        assert (reader.take(), reader.is_complete, reader.is_reusable) == (expected, True, reusable)


def test_headers_are_those_of_the_last_response_in_lower_case() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 103 x\r\nEarly: 1\r\n\r\n" + OK + b"X-Request-ID: r1\r\nContent-Length: 0\r\n\r\n")
    assert reader.headers == {b"x-request-id": b"r1", b"content-length": b"0"}

    reader.expect_next()
    reader.feed(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    assert (reader.status, reader.headers) == (503, {b"content-length": b"0"})
