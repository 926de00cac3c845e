"""Requests are sent as OpenTelemetry's variables say, over HTTP and gRPC, to real receivers, and their answers understood."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from gateway.trace.collector.answer import Answer
from gateway.trace.collector.destination import Signal
from gateway.trace.collector.open import Collector, open_collector
from gateway.trace.spans.limits import SpanLimits
from gateway.trace.spans.otlp import SCOPE, Encoder, request, scoped
from gateway.trace.spans.tell import trace_of
from tests.faults.gateway_process import free_port
from tests.trace.receiver import Receiver, receiving, receiving_grpc
from tests.trace.rows import row

SPANS = ["POST /v1/chat/completions", "llmgw.auth", "llmgw.route", "llmgw.budget", "llmgw.meter", "chat gpt-4o-mini"]
SECRET = "s3cr3t-canary"


def told() -> bytes:
    ours, attempts = Encoder(SpanLimits()).encode(trace_of(row()))
    return request(b"", [scoped(SCOPE, "1", "", [ours, attempts])])


def opened(signal: Signal = Signal.TRACES, **variables: str) -> Collector:
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in {"TIMEOUT": "2000", **variables}.items()}
    found = open_collector(named, signal)
    assert found is not None
    return found


async def sent(collector: Collector, body: bytes | None = None) -> Answer:
    try:
        return await asyncio.to_thread(collector.send, told() if body is None else body)
    finally:
        await asyncio.to_thread(collector.close)


def arrived(receiver: Receiver) -> list[str]:
    return [span.name for span in receiver.spans]


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


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
async def test_grpc(compression: str) -> None:
    async with receiving_grpc() as receiver:
        collector = opened(ENDPOINT=receiver.url, PROTOCOL="grpc", COMPRESSION=compression, HEADERS="X-Token=canary")

        assert await sent(collector) == Answer()

        assert arrived(receiver) == SPANS
        assert receiver.headers["x-token"] == "canary"


async def test_grpc_needs_no_scheme_where_it_is_said_to_be_insecure() -> None:
    async with receiving_grpc() as receiver:
        collector = opened(ENDPOINT=receiver.url.removeprefix("http://"), PROTOCOL="grpc", INSECURE="true")

        assert await sent(collector) == Answer()


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
async def server(answer: bytes | Answering) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Whoever listens where a collector should: its URL, and the requests it was sent."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            requests.append(head + await reader.readexactly(length))
            if callable(answer):
                await answer(writer)
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", requests
    finally:
        listening.close()


def says(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


PARTIAL = ExportTraceServiceResponse()
PARTIAL.partial_success.rejected_spans = 2
PARTIAL.partial_success.error_message = f"too old, {SECRET}"
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


async def test_an_answer_that_never_ends_is_not_read_to_its_end() -> None:
    async def floods(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with server(floods) as (url, _):
        assert await sent(opened(ENDPOINT=url)) == Answer()


class _Grpc(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, answer: Callable[[Any], bytes]) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._answer(context))


@contextmanager
def grpc_server(answer: Callable[[Any], bytes]) -> Iterator[str]:
    with ThreadPoolExecutor(2) as threads:
        listening = grpc.server(threads, handlers=(_Grpc(answer),))
        port = listening.add_insecure_port("127.0.0.1:0")
        listening.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            listening.stop(0).wait()


def refuses(code: str, details: str = "no", *, pause: int | None = None) -> Callable[[Any], bytes]:
    def answer(context: Any) -> bytes:
        if pause is not None:
            status = Status(code=1)
            status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=pause)))
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode[code], details)
        raise AssertionError

    return answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (lambda context: PARTIAL.SerializeToString(), Answer(rejected=2, message="too old, ***")),
        (lambda context: b"\xff" * 9, Answer(message="its answer is none of a collector's")),
        (refuses("UNAVAILABLE"), Answer("UNAVAILABLE: no")),
        (refuses("UNAVAILABLE", pause=9), Answer("UNAVAILABLE: no", retry_after=9.0)),
        (refuses("RESOURCE_EXHAUSTED"), Answer("RESOURCE_EXHAUSTED: no", is_final=True)),
        (refuses("RESOURCE_EXHAUSTED", pause=9), Answer("RESOURCE_EXHAUSTED: no", retry_after=9.0)),
        (refuses("UNAUTHENTICATED", f"bad {SECRET}"), Answer("UNAUTHENTICATED: bad ***", is_final=True)),
        (refuses("INVALID_ARGUMENT"), Answer("INVALID_ARGUMENT: no", is_final=True)),
    ],
)
async def test_what_is_answered_over_grpc(said: Callable[[Any], bytes], answer: Answer) -> None:
    with grpc_server(said) as url:
        assert await sent(opened(ENDPOINT=url, PROTOCOL="grpc", HEADERS=f"x-token=Bearer%20{SECRET}")) == answer


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
