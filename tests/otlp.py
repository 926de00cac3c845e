"""A collector of OpenTelemetry's, on a free port of the loopback: what arrives over OTLP, by HTTP or gRPC, decoded."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE = 10.0
"""Seconds to wait for what must arrive."""


@dataclass
class Collector:
    """`url` is what OTEL_EXPORTER_OTLP_ENDPOINT should be. `status` is how HTTP requests are answered; `delay`, in seconds,
    holds every answer back; `rejects` data points of a push are not taken. `headers` has each request's, with lower-case names,
    `came` when each did, and `answered` when its answer was about to be sent."""

    url: str = ""
    status: int = 200
    delay: float = 0.0
    rejects: int = 0
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    came: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    refused: int = 0

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until something holds that must soon."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0.01)

    def spans(self) -> list[Span]:
        """All that have arrived, in their order."""
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def latest(self) -> dict[str, Metric]:
        """The metrics of the last push, by name."""
        return metrics_of(self.metrics[-1]) if self.metrics else {}


def metrics_of(request: ExportMetricsServiceRequest) -> dict[str, Metric]:
    """Those of one push, by name."""
    return {
        metric.name: metric
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def points(metric: Metric) -> Iterator[tuple[dict[str, Any], Any]]:
    """The attributes of each data point, and the point."""
    for point in getattr(metric, metric.WhichOneof("data") or "").data_points:
        yield attributes(point.attributes), point


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)


@asynccontextmanager
async def http_collector() -> AsyncIterator[Collector]:
    """Takes OTLP as protobuf over HTTP."""
    found = Collector()

    async def take(request: web.Request) -> web.Response:
        found.headers.append({name.lower(): value for name, value in request.headers.items()})
        found.came.append(time.monotonic())
        body = await request.read()
        await asyncio.sleep(found.delay)
        found.answered.append(time.monotonic())
        if found.status != 200:
            found.refused += 1
            return web.Response(status=found.status)
        data = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        answer: ExportMetricsServiceResponse | ExportTraceServiceResponse
        if request.path == "/v1/metrics":
            found.metrics.append(ExportMetricsServiceRequest.FromString(data))
            answer = ExportMetricsServiceResponse()
            if found.rejects:
                answer.partial_success.rejected_data_points = found.rejects
                answer.partial_success.error_message = "no room"
        else:
            found.traces.append(ExportTraceServiceRequest.FromString(data))
            answer = ExportTraceServiceResponse()
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")

    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.add_routes([web.post("/v1/metrics", take), web.post("/v1/traces", take)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


@asynccontextmanager
async def grpc_collector() -> AsyncIterator[Collector]:
    """Takes OTLP over gRPC."""
    found = Collector()

    class Metrics(MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> ExportMetricsServiceResponse:  # noqa: N802
            _came(found, context)
            found.metrics.append(request)
            return ExportMetricsServiceResponse()

    class Traces(TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
            _came(found, context)
            found.traces.append(request)
            return ExportTraceServiceResponse()

    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        add_MetricsServiceServicer_to_server(Metrics(), server)  # type: ignore[no-untyped-call]
        add_TraceServiceServicer_to_server(Traces(), server)  # type: ignore[no-untyped-call]
        found.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield found
        finally:
            await asyncio.to_thread(server.stop(0.1).wait)


def _came(found: Collector, context: Any) -> None:
    found.headers.append({str(name): str(value) for name, value in context.invocation_metadata()})
    time.sleep(found.delay)
