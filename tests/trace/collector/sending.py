"""A request of spans, sent to a collector as variables say."""

from __future__ import annotations

import asyncio

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from gateway.trace.collector.answer import Answer
from gateway.trace.collector.destination import Signal
from gateway.trace.collector.open import Collector, open_collector
from gateway.trace.spans.limits import SpanLimits
from gateway.trace.spans.otlp import SCOPE, Encoder, request, scoped
from gateway.trace.spans.tell import trace_of
from tests.trace.receiver import Receiver
from tests.trace.rows import row

SPANS = ["POST /v1/chat/completions", "llmgw.auth", "llmgw.route", "llmgw.budget", "llmgw.meter", "chat gpt-4o-mini"]
SECRET = "s3cr3t-canary"


def told() -> bytes:
    ours, attempts = Encoder(SpanLimits()).encode(trace_of(row()))
    return request(b"", [scoped(SCOPE, "1", "", [ours, attempts])])


def opened(**variables: str) -> Collector:
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in {"TIMEOUT": "20000", **variables}.items()}
    found = open_collector(named, Signal.TRACES)
    assert found is not None
    return found


async def sent(collector: Collector, body: bytes | None = None) -> Answer:
    try:
        return await asyncio.to_thread(collector.send, told() if body is None else body)
    finally:
        await asyncio.to_thread(collector.close)


def arrived(receiver: Receiver) -> list[str]:
    return [span.name for span in receiver.spans]


PARTIAL = ExportTraceServiceResponse()
PARTIAL.partial_success.rejected_spans = 2
PARTIAL.partial_success.error_message = f"too old,\n\x1b {SECRET}"
