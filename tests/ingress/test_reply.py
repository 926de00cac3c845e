"""One response on the wire: whole answers with a length, streams in chunks, and one envelope for every error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Broken, GatewayError, InvalidRequest, Overloaded, RateLimited, Unauthenticated
from gateway.ingress.reply import Response, envelope

COMMENT = b"e\r\n: keep-alive\n\n\r\n"


class Wire:
    """The connection of a response, which keeps what is written to it."""

    def __init__(self) -> None:
        self.sent = b""
        self.lost = False
        self.is_paused = False
        self.waits = 0

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drained(self) -> None:
        self.waits += 1


class Client:
    def __init__(self, *, keep_alive: bool = True, head_only: bool = False) -> None:
        self.wire = Wire()
        self.response = Response(self.wire, keep_alive=keep_alive, head_only=head_only)

    @property
    def head(self) -> list[bytes]:
        return self.wire.sent.partition(b"\r\n\r\n")[0].split(b"\r\n")

    @property
    def body(self) -> bytes:
        return self.wire.sent.partition(b"\r\n\r\n")[2]

    @property
    def error(self) -> dict[str, object]:
        error = json.loads(self.body)["error"]
        assert isinstance(error, dict)
        return error


def unchunked(data: bytes) -> bytes:
    """The body of a chunked response, which must end where it says it ends."""
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        body += data[: int(size, 16)]
        assert data[int(size, 16) :].startswith(b"\r\n")
        data = data[int(size, 16) + 2 :]
        if size == b"0":
            assert data == b""
            return body


async def test_a_whole_answer_goes_out_at_once_with_its_length_and_all_headers() -> None:
    client = Client()

    client.response.begin("application/json", stream=False, headers=(("x-a", "1"),))
    await client.response.send(b'{"a":')
    assert client.wire.sent == b""
    client.response.end(b"1}", headers=(("x-b", "2"),))

    assert client.head == [
        b"HTTP/1.1 200 OK",
        b"content-type: application/json",
        b"x-a: 1",
        b"x-b: 2",
        b"content-length: 7",
    ]
    assert client.body == b'{"a":1}'


@given(chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6), last=st.binary(max_size=20))
async def test_a_stream_is_the_chunks_it_was_given(chunks: list[bytes], last: bytes) -> None:
    client = Client()

    client.response.begin("text/event-stream", stream=True, headers=())
    for chunk in chunks:
        await client.response.send(chunk)
        assert client.body.endswith(chunk + b"\r\n")
    client.response.end(last, headers=(("x-too-late", "1"),))

    assert b"transfer-encoding: chunked" in client.head
    assert not any(line.startswith((b"content-length", b"x-too-late")) for line in client.head)
    assert unchunked(client.body) == b"".join(chunks) + last


async def test_an_empty_chunk_does_not_end_a_stream() -> None:
    client = Client()

    client.response.begin("text/event-stream", stream=True, headers=())
    for chunk in (b"", b"data: a\n\n", b"", b"data: b\n\n"):
        await client.response.send(chunk)
    client.response.end()

    assert unchunked(client.body) == b"data: a\n\ndata: b\n\n"


async def test_a_stream_waits_while_the_client_is_slower() -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=())

    await client.response.send(b"a")
    assert client.wire.waits == 0

    client.wire.is_paused = True
    await client.response.send(b"b")
    assert client.wire.waits == 1


async def test_an_error_within_a_stream_is_its_last_event_and_no_done_follows() -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=())
    await client.response.send(b"data: a\n\n")

    client.response.fail(Broken("the provider's answer was cut off"))

    assert client.head[0] == b"HTTP/1.1 200 OK"
    event = unchunked(client.body).removeprefix(b"data: a\n\n")
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert json.loads(event[6:])["error"]["code"] == "upstream_truncated"


async def test_an_error_before_the_first_chunk_is_a_status_and_what_was_held_is_dropped() -> None:
    client = Client()
    client.response.begin("application/json", stream=False, headers=())
    await client.response.send(b"half of an answer")

    client.response.fail(Broken("the provider's answer was cut off"))

    assert client.head[0] == b"HTTP/1.1 502 Bad Gateway"
    assert client.error["code"] == "upstream_truncated"


async def test_an_error_has_one_content_type_whatever_the_answer_would_have_been() -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=())

    client.response.fail(Broken("the provider's answer was cut off"))

    assert [line for line in client.head if line.startswith(b"content-type")] == [b"content-type: application/json"]
    assert not any(line.startswith(b"transfer-encoding") for line in client.head)


@pytest.mark.parametrize(
    ("error", "status", "lines"),
    [
        (InvalidRequest("no"), b"400 Bad Request", {b"x-should-retry: false"}),
        (Unauthenticated("no"), b"401 Unauthorized", {b"x-should-retry: false", b"www-authenticate: Bearer"}),
        (RateLimited("slow", retry_after=7), b"429 Too Many Requests", {b"x-should-retry: true", b"retry-after: 7"}),
        (RateLimited("slow", retry_after=0.5), b"429 Too Many Requests", {b"x-should-retry: true", b"retry-after: 1"}),
        (Overloaded("later"), b"503 Service Unavailable", {b"x-should-retry: true", b"retry-after: 1"}),
        (GatewayError("internal error"), b"500 Internal Server Error", set()),
    ],
)
def test_each_error_says_what_to_do(error: GatewayError, status: bytes, lines: set[bytes]) -> None:
    client = Client()

    client.response.fail(error)

    hints = (b"x-should-retry", b"retry-after", b"www-authenticate")
    assert client.head[0] == b"HTTP/1.1 " + status
    assert {line for line in client.head if line.startswith(hints)} == lines
    assert client.error == {"message": error.message, "type": error.type, "param": None, "code": error.code}


def test_nothing_is_said_twice_or_to_somebody_who_left() -> None:
    ended, gone = Client(), Client()
    ended.response.whole(200, b"{}")
    sent = ended.wire.sent
    gone.wire.lost = True

    ended.response.fail(GatewayError("internal error"))
    gone.response.fail(GatewayError("internal error"))

    assert (ended.wire.sent, gone.wire.sent) == (sent, b"")


def test_an_answer_without_content_has_no_length_and_an_answer_to_head_no_body() -> None:
    empty, head = Client(keep_alive=False), Client(head_only=True)

    empty.response.empty(204)
    head.response.whole(200, b"{}")

    assert empty.wire.sent == b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
    assert (head.body, head.head[-1]) == (b"", b"content-length: 2")


@given(st.text(max_size=700))
def test_a_message_is_short_and_printable_whatever_it_quotes(message: str) -> None:
    body = envelope(InvalidRequest(message, code="invalid_value", param="é"))

    error = json.loads(body)["error"]
    assert len(error["message"]) == min(len(message), 512)
    assert error["message"].isascii()
    assert error["message"].isprintable()
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "é", "invalid_value")
    assert b"\n" not in body


async def test_a_probe_changes_nothing_for_a_client_that_is_there() -> None:
    client = Client()
    assert client.response.probe() == b"HTTP/1.1 100 Continue\r\n\r\n"

    client.response.begin("text/event-stream", stream=True, headers=())
    await client.response.send(b"data: a\n\n")
    client.wire.write(client.response.probe())
    client.response.end(b"data: b\n\n")

    assert unchunked(client.body) == b"data: a\n\n: keep-alive\n\ndata: b\n\n"
    assert client.response.probe() == b""


def test_a_whole_answer_that_has_gone_out_is_not_probed_within() -> None:
    client = Client()
    client.response.whole(200, b"{}")

    assert client.response.probe() == b""


async def test_a_silent_stream_is_kept_warm_every_fifteen_seconds() -> None:
    client = Client()
    client.response.keep_warm(0)
    client.response.begin("text/event-stream", stream=True, headers=())
    client.response.keep_warm(50)
    assert client.wire.sent == b""

    await client.response.send(b"data: a\n\n")
    comments = []
    for second in (100, 110, 116, 120, 131.5):
        client.response.keep_warm(second)
        comments.append(client.wire.sent.count(COMMENT))
    assert comments == [0, 0, 1, 1, 2]

    await client.response.send(b"data: b\n\n")
    client.response.keep_warm(140)
    client.response.keep_warm(150)
    assert client.wire.sent.count(COMMENT) == 2

    client.response.end()
    sent = client.wire.sent
    client.response.keep_warm(1000)
    assert client.wire.sent == sent
