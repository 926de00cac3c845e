"""A real OTLP receiver of traces, over HTTP or gRPC, and the spans that have reached it as plain values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent import futures
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import grpc  # type: ignore[import-untyped]
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT"}
STATUS = {0: "UNSET", 1: "OK", 2: "ERROR"}
_HTTP_PATH = "/v1/traces"
_GRPC_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass(frozen=True, slots=True)
class Span:
    """`begin` and `end` in nanoseconds since 1970; ids in hexadecimal, `parent` None for a root."""

    trace_id: str
    span_id: str
    parent: str | None
    name: str
    kind: str
    begin: int
    end: int
    status: str
    message: str
    attributes: Mapping[str, Any]
    scope: str
    resource: Mapping[str, Any]
    state: str
    flags: int
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    links: tuple[tuple[str, str], ...]


@dataclass
class Receiver:
    """`requests` are as they came, parsed; `bodies` as bytes, inflated. `headers` are those of the last one."""

    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    status: int = 200
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def spans(self) -> list[Span]:
        return [span for request in self.requests for span in spans_of(request)]

    async def until(self, is_there: Callable[[Self], bool], *, seconds: float = 10) -> None:
        """Waits until it is so. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: is_there(self))

    async def take(self, body: bytes) -> None:
        self.bodies.append(body)
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        async with self._arrived:
            self._arrived.notify_all()

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.headers = dict(request.headers)
        if self.status != 200:
            return web.Response(status=self.status)
        await self.take(body)
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )


@asynccontextmanager
async def receiving(*, port: int = 0) -> AsyncIterator[Receiver]:
    """Listens for OTLP over HTTP; aiohttp inflates what comes with a content-encoding."""
    receiver = Receiver()
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post(_HTTP_PATH, receiver._post)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    assert site._server is not None
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def receiving_grpc() -> AsyncIterator[Receiver]:
    """Listens for OTLP over gRPC, in threads of its own."""
    receiver, loop = Receiver(), asyncio.get_running_loop()

    def export(request: bytes, context: grpc.ServicerContext) -> bytes:
        receiver.headers = {str(name): str(value) for name, value in context.invocation_metadata()}
        asyncio.run_coroutine_threadsafe(receiver.take(request), loop).result()
        return bytes(ExportTraceServiceResponse().SerializeToString())

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    method = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_GRPC_SERVICE, {"Export": method}),))
    receiver.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        await asyncio.to_thread(server.stop(0).wait)


def spans_of(request: ExportTraceServiceRequest) -> Iterable[Span]:
    for resource_spans in request.resource_spans:
        resource = values(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _span(span, scope_spans.scope.name, resource)


def _span(span: trace_pb2.Span, scope: str, resource: Mapping[str, Any]) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex() or None,
        name=span.name,
        kind=KINDS[span.kind],
        begin=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        status=STATUS[span.status.code],
        message=span.status.message,
        attributes=values(span.attributes),
        scope=scope,
        resource=resource,
        state=span.trace_state,
        flags=span.flags,
        events=tuple((event.name, values(event.attributes)) for event in span.events),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Raises AssertionError where one name comes twice, which OTLP forbids."""
    found: dict[str, Any] = {}
    for pair in pairs:
        assert pair.key not in found, pair.key
        found[pair.key] = _value(pair.value)
    return found


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)
