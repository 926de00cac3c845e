"""What a client is sent: one head, framed once, and an error wherever the answer stood."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import GatewayError, NotFound, Overloaded, RateLimited, Unauthenticated
from gateway.core.peer import Peer
from gateway.ingress.reply import Response, envelope
from gateway.upstream.response import ResponseReader


class Pipe:
    def __init__(self) -> None:
        self.lost = False
        self.is_paused = False
        self.sent = b""
        self.waited = 0

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drained(self) -> None:
        self.waited += 1

    def switch(self, head: bytes) -> Peer:
        raise NotImplementedError


class Client:
    """The other end: reads what was written as a strict client would."""

    def __init__(self, *, keep_alive: bool = True, head_only: bool = False) -> None:
        self.pipe = Pipe()
        self.response = Response(self.pipe, keep_alive=keep_alive, head_only=head_only)

    def read(self) -> tuple[int, dict[bytes, bytes], bytes]:
        reader = ResponseReader()
        reader.feed(self.pipe.sent)
        assert reader.is_complete
        assert not reader.surplus
        return reader.status, dict(reader.headers), reader.take()

    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read()[2])["error"]
        return found


@given(chunks=st.lists(st.binary(max_size=50), max_size=8), last=st.binary(max_size=50))
async def test_a_stream_is_its_chunks_and_nothing_ends_it_early(chunks: list[bytes], last: bytes) -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=(("x-a", "1"),))
    for chunk in chunks:
        await client.response.send(chunk)
    client.response.end(last, headers=(("x-late", "1"),))

    status, headers, body = client.read()
    assert (status, body) == (200, b"".join(chunks) + last)
    assert headers[b"transfer-encoding"] == b"chunked"
    assert (headers[b"x-a"], b"x-late" in headers) == (b"1", False)


@given(chunks=st.lists(st.binary(max_size=50), max_size=8), last=st.binary(max_size=50))
async def test_a_whole_answer_goes_out_at_its_end_with_its_length(chunks: list[bytes], last: bytes) -> None:
    client = Client()
    client.response.begin("application/json", stream=False, headers=())
    for chunk in chunks:
        await client.response.send(chunk)
    assert client.pipe.sent == b""

    client.response.end(last, headers=(("x-late", "1"),))

    status, headers, body = client.read()
    assert (status, body) == (200, b"".join(chunks) + last)
    assert (int(headers[b"content-length"]), headers[b"x-late"]) == (len(body), b"1")


async def test_a_client_that_is_slower_than_we_are_is_waited_for() -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=())
    client.pipe.is_paused = True

    await client.response.send(b"x")

    assert client.pipe.waited == 1


async def test_an_error_before_the_first_byte_is_a_status() -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=())
    client.response.fail(RateLimited("slow down", retry_after=2.4))

    status, headers, _ = client.read()
    assert status == 429
    assert (headers[b"x-should-retry"], headers[b"retry-after"]) == (b"true", b"3")
    assert client.error() == {
        "message": "slow down",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


async def test_an_error_before_the_first_byte_has_one_content_type() -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=())
    client.response.fail(Overloaded("no"))

    assert client.pipe.sent.lower().count(b"content-type:") == 1
    assert client.read()[1][b"content-type"] == b"application/json"


async def test_an_error_in_mid_stream_is_its_last_event() -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=())
    await client.response.send(b"data: 1\n\n")
    client.response.fail(Overloaded("no"))
    client.response.fail(Overloaded("again"))

    assert client.read()[2] == b"data: 1\n\ndata: " + envelope(Overloaded("no")) + b"\n\n"


async def test_an_error_while_a_whole_answer_is_held_back_sends_none_of_it() -> None:
    client = Client()
    client.response.begin("application/json", stream=False, headers=())
    await client.response.send(b'{"half":')
    client.response.fail(GatewayError("internal error"))

    assert client.read()[0] == 500
    assert client.error()["code"] == "internal_error"


def test_a_client_that_left_is_told_nothing() -> None:
    client = Client()
    client.pipe.lost = True

    client.response.fail(NotFound("x"))

    assert client.pipe.sent == b""


def test_an_unknown_caller_is_told_how_to_say_who_it_is() -> None:
    client = Client()
    client.response.fail(Unauthenticated("no key"))

    assert client.read()[1][b"www-authenticate"] == b"Bearer"


@pytest.mark.parametrize(("keep_alive", "closes"), [(True, False), (False, True)])
def test_the_last_response_of_a_connection_says_so(keep_alive: bool, closes: bool) -> None:
    client = Client(keep_alive=keep_alive)
    client.response.whole(200, b"{}")

    assert (b"connection: close" in client.pipe.sent) is closes


def test_a_head_request_gets_the_length_and_not_the_body() -> None:
    client = Client(head_only=True)
    client.response.whole(200, b"{}")

    assert b"content-length: 2\r\n" in client.pipe.sent
    assert client.pipe.sent.endswith(b"\r\n\r\n")


def test_no_content_has_no_length() -> None:
    client = Client()
    client.response.empty(204)

    assert client.read()[0] == 204
    assert b"content-length" not in client.pipe.sent


@given(message=st.text(max_size=2000), param=st.none() | st.text(max_size=20))
def test_an_envelope_is_json_of_printable_words(message: str, param: str | None) -> None:
    sent = envelope(NotFound(message, param=param))

    text = json.loads(sent)["error"]["message"]
    assert text.isascii()
    assert text.isprintable() or not text
    assert len(text) <= 512
    assert b"\n" not in sent


async def test_a_silent_stream_is_kept_warm_with_comments() -> None:
    client = Client()
    client.response.begin("text/event-stream", stream=True, headers=())
    client.response.keep_warm(0.0)
    await client.response.send(b"data: 1\n\n")
    for now in (100.0, 114.0, 115.5, 116.0):
        client.response.keep_warm(now)
    client.response.end(b"")
    client.response.keep_warm(500.0)

    assert client.read()[2] == b"data: 1\n\n: keep-alive\n\n"


async def test_a_probe_changes_nothing_for_a_client_that_is_there() -> None:
    client = Client()
    client.pipe.write(client.response.probe())
    client.response.begin("text/event-stream", stream=True, headers=())
    await client.response.send(b"data: 1\n\n")
    client.pipe.write(client.response.probe())
    client.response.end(b"data: 2\n\n")
    client.pipe.write(client.response.probe())

    status, _, body = client.read()
    assert (status, body.replace(b": keep-alive\n\n", b"")) == (200, b"data: 1\n\ndata: 2\n\n")


class Shouting:
    """Implements `Speech`: everything in capital letters."""

    def begin(self, native: object) -> None:
        assert native is None

    def sent(self, chunk: bytes) -> bytes:
        return b"" if chunk == b"quiet" else chunk.upper()

    def ended(self, last: bytes) -> bytes:
        return last.upper() + b"!"

    def whole(self, body: bytes) -> bytes:
        return body.upper()

    def failed(self, error: GatewayError) -> bytes:
        return error.message.upper().encode()

    def broken(self, error: GatewayError) -> bytes:
        return b"OH: " + error.message.upper().encode()


def shouted() -> Client:
    client = Client()
    client.response.speaks(Shouting())
    return client


async def test_a_client_of_another_dialect_is_told_everything_in_its_own() -> None:
    stream, whole = shouted(), shouted()
    for client, is_stream in ((stream, True), (whole, False)):
        client.response.begin("text/plain", stream=is_stream, headers=())
        await client.response.send(b"he")
        await client.response.send(b"quiet" if is_stream else b"ll")
        client.response.end(b"o", headers=())

    assert stream.read()[2] == b"HEO!"
    assert whole.read()[2] == b"HELLO"


async def test_errors_are_told_in_the_client_s_own_dialect_too() -> None:
    early, late = shouted(), shouted()
    early.response.fail(NotFound("no such thing"))
    late.response.begin("text/plain", stream=True, headers=())
    await late.response.send(b"x")
    late.response.fail(NotFound("no such thing"))

    assert early.read()[::2] == (404, b"NO SUCH THING")
    assert late.read()[2] == b"XOH: NO SUCH THING"
