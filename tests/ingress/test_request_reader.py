"""Requests that ask to become a WebSocket are told from those that are read as if they had not."""

from __future__ import annotations

import pytest

from gateway.core.errors import InvalidRequest
from gateway.ingress.request import Limits, Request
from gateway.ingress.request_reader import RequestReader

ASKS = b"GET /v1/realtime?model=m HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


def reader(found: list[Request]) -> RequestReader:
    return RequestReader(
        Limits(), lambda: 0.0, arrived=found.append, expects=lambda: None, sockets=frozenset({b"/v1/realtime"})
    )


def test_what_follows_is_kept_wherever_it_is_cut() -> None:
    data = ASKS + b"\x81\x80\x01\x02\x03\x04"
    for cut in range(1, len(data)):
        found: list[Request] = []
        reading = reader(found)
        reading.feed(data[:cut])
        reading.feed(data[cut:])

        assert [each.asks_socket for each in found] == [True], cut
        assert reading.is_switching
        assert reading.rest == data[len(ASKS) :]


def test_too_much_of_it_is_refused() -> None:
    reading = reader([])
    with pytest.raises(InvalidRequest):
        reading.feed(ASKS + b"x" * 70_000)


@pytest.mark.parametrize(
    "asks",
    [
        ASKS.replace(b"/v1/realtime", b"/v1/models"),
        ASKS.replace(b"WebSocket", b"h2c"),
        ASKS.replace(b"GET", b"POST"),
        ASKS.replace(b"keep-alive, Upgrade", b"keep-alive"),
    ],
    ids=["path", "protocol", "method", "connection"],
)
def test_what_does_not_ask_properly_has_not_asked(asks: bytes) -> None:
    found: list[Request] = []
    reading = reader(found)
    reading.feed(asks + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

    assert [each.asks_socket for each in found] == [False, False]


def test_a_body_is_refused() -> None:
    for more in (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"):
        with pytest.raises(InvalidRequest):
            reader([]).feed(ASKS.replace(b"Host: h\r\n", b"Host: h\r\n" + more) + b"hello")
