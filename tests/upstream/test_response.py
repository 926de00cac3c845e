"""A response reads the same in whatever pieces it arrives, and what is wrong with it is found in all of them."""

from __future__ import annotations

import pytest

from gateway.core.errors import UpstreamError
from gateway.upstream.response import ResponseReader

OK = b"HTTP/1.1 200 OK\r\n"
GOOD = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", b"hello", True),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", b"hello", True),
    "an interim response": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
        b"hi",
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "a last one": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
    "the end of the connection": (OK + b"\r\nhello", b"hello", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
}
BAD = {
    "both framings": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no HTTP": b"HELLO\r\n\r\n",
    "a NUL in a header": OK + b"X: a\0b\r\n\r\n",
    "a head that never ends": OK + b"X: " + b"a" * 100_000,
    "too many headers": OK + b"X: y\r\n" * 300 + b"\r\n",
    "a chunk of no size": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


def read(data: bytes, *, cut: int) -> tuple[ResponseReader, bytes]:
    reader = ResponseReader()
    body = b""
    for piece in filter(None, (data[:cut], data[cut:])):
        reader.feed(piece)
        body += reader.take()
    if not reader.is_complete:
        reader.end()
    return reader, body


@pytest.mark.parametrize("name", GOOD)
def test_a_response_reads_the_same_wherever_it_is_cut(name: str) -> None:
    data, expected, reusable = GOOD[name]
    for cut in range(len(data) + 1):
        reader, body = read(data, cut=cut)

        assert (body, reader.is_complete, reader.is_reusable) == (expected, True, reusable), cut


@pytest.mark.parametrize("name", ["a length", "chunks", "trailers"])
def test_a_response_that_ends_early_is_broken_wherever_it_ends(name: str) -> None:
    data = GOOD[name][0]
    for cut in range(len(data)):
        reader = ResponseReader()
        reader.feed(data[:cut])

        with pytest.raises(UpstreamError):
            reader.end()


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_response_is_refused(name: str) -> None:
    with pytest.raises(UpstreamError):
        read(BAD[name], cut=len(BAD[name]) // 2)


def test_bytes_behind_a_response_make_the_connection_unfit_for_another() -> None:
    reader, body = read(GOOD["a length"][0] + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", cut=3)

    assert (body, reader.is_complete, reader.is_reusable) == (b"hello", True, False)


def test_a_connection_carries_one_response_after_the_other() -> None:
    reader = ResponseReader()
    for body in (b"one", b"two!"):
        reader.expect_next()
        reader.feed(OK + b"Content-Length: %d\r\nX-N: 1\r\n\r\n%b" % (len(body), body))

        assert (reader.take(), reader.is_complete, reader.is_reusable) == (body, True, True)
