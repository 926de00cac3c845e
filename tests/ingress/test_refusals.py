"""What is no request that can be trusted gets one answer that says why, and nothing behind it is read (rows H)."""

from __future__ import annotations

import pytest

from tests.ingress.test_http1 import GET, POST, Peer

HEAD = b"POST /v1/x HTTP/1.1\r\nHost: h\r\n"
CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = b"Content-Length: 5\r\n\r\nhello"


def with_header(*lines: bytes) -> bytes:
    return HEAD + b"".join(line + b"\r\n" for line in lines) + HELLO


REFUSED = {
    "H1 both framings": (HEAD + b"Transfer-Encoding: chunked\r\n" + HELLO, "bad_http", 400),
    "H2 two lengths": (with_header(b"Content-Length: 6"), "bad_http", 400),
    "H3 the same length twice": (with_header(b"Content-Length: 5"), "bad_http", 400),
    "H4 a plus sign": (HEAD + b"Content-Length: +5\r\n\r\nhello", "bad_http", 400),
    "H4 negative": (HEAD + b"Content-Length: -1\r\n\r\nhello", "bad_http", 400),
    "H4 a list": (HEAD + b"Content-Length: 5, 5\r\n\r\nhello", "bad_http", 400),
    "H4 hexadecimal": (HEAD + b"Content-Length: 0x5\r\n\r\nhello", "bad_http", 400),
    "H5 beyond any integer": (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", "bad_http", 400),
    "H6 chunked is not last": (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n", "bad_http", 400),
    "H6 xchunked": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "unsupported_transfer_coding", 501),
    "H7 gzip": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "unsupported_transfer_coding", 501),
    "H8 a space before the colon": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "bad_http", 400),
    "H9 chunked HTTP/1.0": (CHUNKS.replace(b"1.1", b"1.0") + b"0\r\n\r\n", "bad_http", 400),
    "H10 a folded line": (with_header(b"X: a", b" b"), "bad_http", 400),
    "H11 bare LF": (POST.replace(b"\r\n", b"\n"), "bad_http", 400),
    "H11 a bare CR": (with_header(b"X: a\rb"), "bad_http", 400),
    "H11 NUL": (with_header(b"X: a\0b"), "bad_http", 400),
    "H12 a negative size": (CHUNKS + b"-1\r\n{}\r\n0\r\n\r\n", "bad_http", 400),
    "H12 a prefixed size": (CHUNKS + b"0x5\r\nhello\r\n0\r\n\r\n", "bad_http", 400),
    "H12 17 digits": (CHUNKS + b"10000000000000002\r\n{}\r\n0\r\n\r\n", "bad_http", 400),
    "H12 LF in an extension": (CHUNKS + b"2;a=\nb\r\n{}\r\n0\r\n\r\n", "bad_http", 400),
    "H12 no end after the data": (CHUNKS + b"2\r\n{}0\r\n\r\n", "bad_http", 400),
    "H14 a trailer": (CHUNKS + b"2\r\n{}\r\n0\r\nContent-Length: 2\r\n\r\n", "bad_http", 400),
    "H15 no host": (POST.replace(b"Host: h\r\n", b""), "bad_http", 400),
    "H15 two hosts": (with_header(b"Host: other"), "bad_http", 400),
    "H16 0.9": (POST.replace(b"1.1", b"0.9"), "http_version", 505),
    "H16 1.2": (POST.replace(b"1.1", b"1.2"), "http_version", 505),
    "H16 3.0": (POST.replace(b"1.1", b"3.0"), "http_version", 505),
    "H17 HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad_http", 400),
    "H17 TLS": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", "method_not_allowed", 400),
    "H18 lower case": (POST.replace(b"POST", b"post"), "method_not_allowed", 400),
    "H18 BREW": (POST.replace(b"POST", b"BREW"), "method_not_allowed", 400),
    "H18 CONNECT to a host": (b"CONNECT x:443 HTTP/1.1\r\nHost: h\r\n\r\n", "method_not_allowed", 405),
    "H18 CONNECT to a path": (b"CONNECT /v1/x HTTP/1.1\r\nHost: h\r\n\r\n", "method_not_allowed", 405),
    "H18 CONNECT to all": (b"CONNECT * HTTP/1.1\r\nHost: h\r\n\r\n", "method_not_allowed", 405),
    "H19 an absolute target": (POST.replace(b"/v1", b"http://evil/v1"), "bad_target", 400),
    "H20 a path of 9 KB": (POST.replace(b"/v1", b"/" + b"a" * 9216), "target_too_long", 414),
    "H21 a line of 9 KB": (with_header(b"X: " + b"a" * 9216), "headers_too_large", 431),
    "H21 200 headers": (with_header(*[b"X: 1"] * 200), "headers_too_large", 431),
    "H21 64 KB": (with_header(*[b"X-%d: %b" % (n, b"a" * 4000) for n in range(16)]), "headers_too_large", 431),
    "H22 an underscore": (with_header(b"X_API_KEY: x"), "bad_header", 400),
    "H24 another expectation": (with_header(b"Expect: 200-ok"), "expectation_failed", 417),
    "H29 a body over 8 MiB": (HEAD + b"Content-Length: 8388609\r\n\r\n", "request_too_large", 413),
    "H37 two credentials": (with_header(b"Authorization: a", b"Authorization: b"), "duplicate_header", 400),
}
PIECES = (1 << 20, 1000, 7)


@pytest.mark.parametrize("row", REFUSED)
@pytest.mark.parametrize("size", PIECES)
async def test_it_is_answered_once_with_its_reason_in_whatever_pieces_it_comes(row: str, size: int) -> None:
    data, code, status = REFUSED[row]
    peer = Peer()

    for place in range(0, len(data), size):
        peer.connection.data_received(data[place : place + size])
    peer.connection.data_received(GET)
    await peer.settle()

    assert (peer.requests, peer.refused, peer.wire.closed) == ([], [code], True)
    assert peer.wire.sent.startswith(b"HTTP/1.1 %d " % status)
    assert peer.wire.sent.count(b"\r\n\r\n") == 1
    assert b"connection: close\r\n" in peer.wire.sent


@pytest.mark.parametrize("size", PIECES)
async def test_a_chunked_body_over_the_limit_is_refused_at_the_limit(size: int) -> None:
    peer = Peer(body=2000)
    data = CHUNKS + b"3e8\r\n%b\r\n" % (b"x" * 1000) * 3

    for place in range(0, len(data), size):
        peer.connection.data_received(data[place : place + size])

    assert peer.refused == ["request_too_large"]


@pytest.mark.parametrize("body", [1, 100_000, 250_000])
@pytest.mark.parametrize("size", [1 << 20, 64 * 1024, 1400])
async def test_one_large_chunk_is_served_in_whatever_pieces_it_comes(body: int, size: int) -> None:
    peer = Peer()
    data = CHUNKS + b"%x\r\n%b\r\n0\r\n\r\n" % (body, b"x" * body)

    for place in range(0, len(data), size):
        peer.connection.data_received(data[place : place + size])
    await peer.settle()

    assert (peer.refused, [len(request.body) for request in peer.requests]) == ([], [body])


@pytest.mark.parametrize("data", [POST[:-1], b"POST /v1", CHUNKS + b"5\r\nhel"])
async def test_a_connection_that_ends_within_a_request_is_told_so(data: bytes) -> None:
    peer = Peer()
    peer.connection.data_received(data)

    peer.connection.eof_received()

    assert (peer.requests, peer.refused, peer.wire.closed) == ([], ["incomplete_body"], True)


async def test_no_room_is_said_before_anything_is_read() -> None:
    peer = Peer()

    peer.connection.turn_away()
    peer.connection.data_received(GET)

    assert (peer.requests, peer.refused, peer.wire.closed) == ([], ["overloaded"], True)
    assert b"retry-after: 1\r\n" in peer.wire.sent
