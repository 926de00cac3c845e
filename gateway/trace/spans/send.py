"""Sends encoded spans by OTLP, over HTTP or gRPC, as OpenTelemetry's variables say. The SDK's exporters do the sending.

They are given bytes that are encoded already: `_client` and `_translate_data` are theirs and private, so the SDK's version is
pinned, and tests/trace/spans sends through both to a receiver of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

log = logging.getLogger("llmgw.trace")

PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
COMPRESSIONS = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Send(Protocol):
    """Sends an ExportTraceServiceRequest; blocks, and tries again for as long as OTEL_EXPORTER_OTLP_TIMEOUT says."""

    def send(self, request: bytes) -> bool:
        """Whether it has arrived."""
        ...

    def close(self) -> None: ...


def sender(environment: Mapping[str, str]) -> Send | None:
    """None where spans are to go nowhere: no endpoint is set, or they are switched off."""
    chosen = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    is_off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or chosen == "none"
    if is_off or not (chosen == "otlp" or any(environment.get(name) for name in ENDPOINTS)):
        return None
    if chosen not in ("", "otlp"):
        log.warning("spans are only exported by OTLP", extra={"OTEL_TRACES_EXPORTER": chosen})
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)  # we tell each change of state once
    is_grpc = _first(environment, PROTOCOLS) == "grpc"
    try:
        return _Grpc(is_plain=_first(environment, COMPRESSIONS) == "none") if is_grpc else _Http()
    except (ValueError, TypeError, OSError, RuntimeError, KeyError) as error:
        log.error("spans are not exported: the variables cannot be read", extra={"reason": str(error)})
        return None


def _first(environment: Mapping[str, str], names: Sequence[str]) -> str:
    """The value of the first of these variables that is set, in small letters."""
    return next((environment[name].strip().lower() for name in names if environment.get(name)), "")


class _Http:
    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        self._exporter: Any = OTLPSpanExporter()

    def send(self, request: bytes) -> bool:
        return bool(self._exporter._client.export(request).success)

    def close(self) -> None:
        self._exporter.shutdown()


class _Grpc:
    def __init__(self, *, is_plain: bool) -> None:
        """`is_plain`: nothing is compressed, which is the one value that the SDK does not read from its variable."""
        from grpc import Compression  # type: ignore[import-untyped]  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.grpc.exporter import InvalidCompressionValueException  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415

        class Encoded(OTLPSpanExporter):
            def _translate_data(self, data: Any) -> Any:
                return ExportTraceServiceRequest.FromString(data)

            def _count_data(self, data: Any) -> int:
                return 1

        try:
            self._exporter: Any = Encoded(compression=Compression.NoCompression if is_plain else None)
        except InvalidCompressionValueException as error:
            raise ValueError(str(error)) from None
        self._success = SpanExportResult.SUCCESS

    def send(self, request: bytes) -> bool:
        return bool(self._exporter.export(request) is self._success)

    def close(self) -> None:
        self._exporter.shutdown()
