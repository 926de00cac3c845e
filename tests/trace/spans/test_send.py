"""Spans are sent as OpenTelemetry's variables say, over HTTP and gRPC, to real receivers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from gateway.trace.spans.otlp import SCOPE, Encoder, SpanLimits, request, scoped
from gateway.trace.spans.send import Send, sender
from gateway.trace.spans.tell import trace_of
from tests.faults.gateway_process import free_port
from tests.trace.receiver import Receiver, receiving, receiving_grpc
from tests.trace.rows import row


def told() -> bytes:
    ours, attempts = Encoder(SpanLimits()).encode(trace_of(row()))
    return request(b"", [scoped(SCOPE, "1", "", [ours, attempts])])


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Sets variables of the process, which the SDK's exporters read for themselves."""

    class Environment(dict[str, str]):
        def __setitem__(self, name: str, value: str) -> None:
            monkeypatch.setenv(name, value)
            super().__setitem__(name, value)

    found = Environment()
    found["OTEL_EXPORTER_OTLP_TIMEOUT"] = "2"
    return found


def opened(environment: Mapping[str, str], **variables: str) -> Send:
    for name, value in variables.items():
        environment[f"OTEL_EXPORTER_OTLP_{name}"] = value  # type: ignore[index]
    found = sender(environment)
    assert found is not None
    return found


async def sent(send: Send) -> bool:
    """Whether the one request has arrived, in the receiver's eyes, too."""
    try:
        return await asyncio.to_thread(send.send, told())
    finally:
        await asyncio.to_thread(send.close)


def arrived(receiver: Receiver) -> list[str]:
    return [span.name for span in receiver.spans]


SPANS = ["POST /v1/chat/completions", "llmgw.auth", "llmgw.route", "llmgw.budget", "llmgw.meter", "chat gpt-4o-mini"]


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_http(environment: Mapping[str, str], compression: str) -> None:
    async with receiving() as receiver:
        send = opened(environment, ENDPOINT=receiver.url, COMPRESSION=compression, HEADERS="x-token=canary")

        assert await sent(send)

        assert arrived(receiver) == SPANS
        assert receiver.bodies == [told()]
        assert receiver.headers["x-token"] == "canary"
        assert receiver.headers["Content-Type"] == "application/x-protobuf"
        assert receiver.headers.get("Content-Encoding", "none") == compression


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_grpc(environment: Mapping[str, str], compression: str) -> None:
    async with receiving_grpc() as receiver:
        send = opened(
            environment, ENDPOINT=receiver.url, PROTOCOL="grpc", COMPRESSION=compression, HEADERS="x-token=canary"
        )

        assert await sent(send)

        assert arrived(receiver) == SPANS
        assert receiver.headers["x-token"] == "canary"


async def test_the_endpoint_of_traces_goes_before_the_general_one_and_is_taken_as_it_is(
    environment: Mapping[str, str],
) -> None:
    async with receiving() as receiver:
        nobody = f"http://127.0.0.1:{free_port()}"
        send = opened(
            environment, ENDPOINT=nobody, TRACES_ENDPOINT=f"{receiver.url}/v1/traces", TRACES_PROTOCOL="http/protobuf"
        )

        assert await sent(send)
        assert arrived(receiver) == SPANS


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_nobody_listens(environment: Mapping[str, str], protocol: str) -> None:
    send = opened(environment, ENDPOINT=f"http://127.0.0.1:{free_port()}", PROTOCOL=protocol, TIMEOUT="1")

    assert not await sent(send)


async def test_a_receiver_that_refuses_is_told_so_at_once(environment: Mapping[str, str]) -> None:
    async with receiving() as receiver:
        receiver.status = 400
        send = opened(environment, ENDPOINT=receiver.url)

        assert not await sent(send)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x"},
    ],
)
def test_spans_go_nowhere_unless_somebody_says_where(variables: Mapping[str, str]) -> None:
    assert sender(variables) is None


def test_a_variable_that_cannot_be_read_costs_the_spans_and_not_the_gateway(
    environment: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"ENDPOINT": "http://x", "PROTOCOL": "grpc", "COMPRESSION": "tar"}.items():
        environment[f"OTEL_EXPORTER_OTLP_{name}"] = value  # type: ignore[index]

    assert sender(environment) is None
    assert "cannot be read" in caplog.text


def test_another_exporter_is_none_of_ours_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    send = sender({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "zipkin"})

    assert send is not None
    send.close()
    assert "only exported by OTLP" in caplog.text


def test_an_exporter_that_is_asked_for_needs_no_endpoint() -> None:
    send = sender({"OTEL_TRACES_EXPORTER": "otlp"})

    assert send is not None
    send.close()
