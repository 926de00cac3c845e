"""Requests are sent over HTTP as OpenTelemetry's variables say, to real servers, and their answers understood."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from gateway.trace.collector.answer import Answer
from gateway.trace.collector.destination import Signal
from gateway.trace.collector.open import open_collector
from tests.ports import free_port
from tests.trace.collector.sending import PARTIAL, SECRET, SPANS, arrived, opened, sent, told
from tests.trace.receiver import receiving


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
async def test_http(compression: str) -> None:
    async with receiving() as receiver:
        collector = opened(ENDPOINT=receiver.url, COMPRESSION=compression, HEADERS="x-token=canary,X-Other=a%20b")

        assert await sent(collector) == Answer()

        assert arrived(receiver) == SPANS
        assert receiver.bodies == [told()]
        assert receiver.headers["x-token"] == "canary"
        assert receiver.headers["x-other"] == "a b"
        assert receiver.headers["Content-Type"] == "application/x-protobuf"
        assert receiver.headers.get("Content-Encoding", "none") == compression


async def test_the_endpoint_of_traces_goes_before_the_general_one_and_is_taken_as_it_is() -> None:
    async with receiving() as receiver:
        nobody = f"http://127.0.0.1:{free_port()}"
        collector = opened(
            ENDPOINT=nobody, TRACES_ENDPOINT=f"{receiver.url}/v1/traces", TRACES_PROTOCOL="http/protobuf"
        )

        assert await sent(collector) == Answer()
        assert arrived(receiver) == SPANS


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_nobody_listens(protocol: str) -> None:
    collector = opened(ENDPOINT=f"http://127.0.0.1:{free_port()}", PROTOCOL=protocol, TIMEOUT="1000")

    answer = await sent(collector)

    assert answer.failure is not None
    assert "refused" in answer.failure
    assert not answer.is_final


Answering = Callable[[asyncio.StreamWriter], Any]


@asynccontextmanager
async def server(
    answer: bytes | Answering, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Whoever listens where a collector should: its URL, and the requests it was sent."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            requests.append(head + await reader.readexactly(length))
            if callable(answer):
                with suppress(asyncio.CancelledError):  # at the end of the test
                    await answer(writer)
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}", requests
    finally:
        listening.close()


def says(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


PROTOBUF = "application/x-protobuf"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (says(200), Answer()),
        (says(202, b"ok", content_type="text/plain"), Answer()),
        (says(200, b"{}", content_type="application/json"), Answer()),
        (says(301, location="https://example.com/?t=1"), Answer("it answered 301", is_final=True)),
        (says(302), Answer("it answered 302", is_final=True)),
        (says(304), Answer("it answered 304", is_final=True)),
        (says(400, b"no"), Answer("it answered 400", is_final=True)),
        (says(401), Answer("it answered 401", is_final=True)),
        (says(413), Answer("it answered 413", is_final=True)),
        (says(429, retry_after="7"), Answer("it answered 429", retry_after=7.0)),
        (b"HTTP/1.1 101 X\r\n\r\n", Answer("it answered 101", is_final=True)),
        (says(503, content_length="many"), Answer("it answered 503")),
        (says(503, retry_after="soon"), Answer("it answered 503")),
        (says(503, retry_after="-5"), Answer("it answered 503", retry_after=0.0)),
        (says(503, retry_after="inf"), Answer("it answered 503")),
        (says(502, retry_after="7"), Answer("it answered 502")),
        (says(504), Answer("it answered 504")),
        (says(200, PARTIAL.SerializeToString(), content_type=PROTOBUF), Answer(rejected=2, message="too old, ***")),
        (
            says(200, gzip.compress(PARTIAL.SerializeToString()), content_type=PROTOBUF, content_encoding="gzip"),
            Answer(rejected=2, message="too old, ***"),
        ),
        (says(200, b"\xff" * 9, content_type=PROTOBUF), Answer(message="its answer is none of a collector's")),
        (says(200, b"no gzip", content_type=PROTOBUF, content_encoding="gzip"), Answer()),
        (says(200, gzip.compress(b"\0" * 10**8), content_type=PROTOBUF, content_encoding="gzip"), Answer()),
        (
            says(200, b"<html>", content_type="text/html; charset=utf-8"),
            Answer(message="its answer is none of a collector's, but a web page"),
        ),
    ],
)  # fmt: skip
async def test_what_is_answered_over_http(said: bytes, answer: Answer) -> None:
    async with server(said) as (url, requests):
        assert await sent(opened(ENDPOINT=url, HEADERS=f"x-token=Bearer%20{SECRET}")) == answer
        assert len(requests) == 1


async def test_a_collector_cannot_have_us_keep_cookies() -> None:
    async with server(says(200, set_cookie="a=b; path=/")) as (url, requests):
        collector = opened(ENDPOINT=url)
        for _ in range(2):
            await asyncio.to_thread(collector.send, b"")
        collector.close()

    assert len(requests) == 2
    assert not [each for each in requests if b"cookie" in each.lower()]


async def test_a_pause_may_be_asked_for_as_a_date() -> None:
    until = datetime.now(UTC) + timedelta(seconds=100)
    async with server(says(429, retry_after=format_datetime(until, usegmt=True))) as (url, _):
        answer = await sent(opened(ENDPOINT=url))

    assert answer.retry_after is not None
    assert 0 < answer.retry_after <= 100


async def test_a_connection_that_breaks_is_tried_once_more_and_then_given_up() -> None:
    async def breaks(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with server(breaks) as (url, requests):
        answer = await sent(opened(ENDPOINT=url))

    assert answer.failure is not None
    assert not answer.is_final
    assert len(requests) == 2


@pytest.mark.parametrize("said", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, b"\0" * 100_000])
async def test_whoever_does_not_speak_http_has_not_taken_it(said: bytes) -> None:
    async with server(said) as (url, _):
        answer = await sent(opened(ENDPOINT=url))

    assert answer.failure is not None


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_whoever_never_answers_is_left_in_time(part: bytes) -> None:
    async def hangs(writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        await asyncio.sleep(60)

    async with server(hangs) as (url, _):
        answer = await sent(opened(ENDPOINT=url, TIMEOUT="200"))

    assert answer == Answer("it does not answer in time")


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        (b"", Answer("it does not answer in time")),
        (b"HTTP/1.1 200 OK\r\nx: ", Answer("it does not answer in time")),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\r\n", Answer()),
        (b"HTTP/1.1 503 OK\r\ncontent-length: 900\r\n\r\n", Answer("it answered 503")),
    ],
)
async def test_whoever_answers_byte_by_byte_is_left_in_time(part: bytes, answer: Answer) -> None:
    async def trickles(writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with server(trickles) as (url, _):
        assert await asyncio.wait_for(sent(opened(ENDPOINT=url, TIMEOUT="2000")), 60) == answer


async def test_an_answer_that_never_ends_is_not_read_to_its_end() -> None:
    async def floods(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with server(floods) as (url, _):
        assert await sent(opened(ENDPOINT=url)) == Answer()


@pytest.fixture
def tls(certificates: Mapping[str, str]) -> ssl.SSLContext:
    """A server's that asks for the one certificate there is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["cert"], certificates["key"])
    context.load_verify_locations(certificates["cert"])
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def test_tls_with_a_certificate_of_our_own(
    certificates: Mapping[str, str], tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates["empty"])  # what is said for the collector goes before it
    tls.verify_mode = ssl.CERT_REQUIRED
    cert, key = certificates["cert"], certificates["key"]
    async with server(says(200), tls) as (url, requests):
        collector = opened(ENDPOINT=url, CERTIFICATE=cert, CLIENT_CERTIFICATE=cert, CLIENT_KEY=key)

        assert await sent(collector) == Answer()
        assert len(requests) == 1


async def test_a_certificate_that_nobody_trusts(tls: ssl.SSLContext) -> None:
    async with server(says(200), tls) as (url, requests):
        answer = await sent(opened(ENDPOINT=url))

    assert answer.failure is not None
    assert answer.failure.startswith("TLS: self")
    assert not requests


async def test_tls_that_trickles_is_left_in_time(certificates: Mapping[str, str], tls: ssl.SSLContext) -> None:
    async def trickles(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with server(trickles, tls) as (url, _):
        collector = opened(ENDPOINT=url, CERTIFICATE=certificates["cert"], TIMEOUT="400")

        assert await asyncio.wait_for(sent(collector), 20) == Answer("it does not answer in time")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_no_secret_is_logged_whatever_happens(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    headers = f'authorization=Bearer {SECRET},x-a={SECRET}%0a,{SECRET},x b={SECRET},x-c="{SECRET}\u00e9"'
    async with server(says(400, SECRET.encode(), location=f"/{SECRET}")) as (url, _):
        for endpoint in (f"{url}/?token={SECRET}", f"http://{SECRET}:{SECRET}@127.0.0.1:{free_port()}/", SECRET):
            variables = {"ENDPOINT": endpoint, "HEADERS": headers, "PROTOCOL": protocol, "TIMEOUT": SECRET}
            named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()}
            found = open_collector({**named, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "300"}, Signal.TRACES)
            if found is not None:
                answer = await sent(found)
                assert SECRET not in repr(answer)
                assert SECRET not in repr(found._to)

    assert caplog.records
    assert not [each for each in caplog.records if SECRET in str(vars(each)) or SECRET in each.getMessage()]
    assert {each.name for each in caplog.records} <= {"llmgw.trace", "asyncio"}
