"""OTLP over gRPC. Slow to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from gateway.trace.collector.answer import Answer, taken
from gateway.trace.collector.destination import Destination, Signal
from gateway.trace.resource import our_version

_METHODS = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_COMPRESSIONS = {
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}
_AGAIN = frozenset(
    grpc.StatusCode[name]
    for name in ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
)
_LARGEST = 64 * 1024


class Grpc:
    def __init__(self, destination: Destination) -> None:
        """Raises OSError if a certificate cannot be read."""
        self._to = destination
        options = (
            ("grpc.primary_user_agent", f"OTel-OTLP-Exporter-llmgw/{our_version()}"),
            ("grpc.max_receive_message_length", _LARGEST),
            ("grpc.max_reconnect_backoff_ms", 10_000),
        )
        how = {"options": options, "compression": _COMPRESSIONS[destination.compression]}
        if destination.is_secure:
            self._channel: Any = grpc.secure_channel(destination.url, _credentials(destination), **how)
        else:
            self._channel = grpc.insecure_channel(destination.url, **how)
        self._export = self._channel.unary_unary(_METHODS[destination.signal])

    def send(self, request: bytes) -> Answer:
        try:
            return taken(self._export(request, timeout=self._to.seconds, metadata=self._to.headers))
        except grpc.RpcError as error:
            pause = _pause(error)
            code = error.code()
            is_final = code not in _AGAIN and not (code is grpc.StatusCode.RESOURCE_EXHAUSTED and pause is not None)
            return Answer(failure=f"{code.name}: {error.details()}", is_final=is_final, retry_after=pause)
        except (
            ValueError
        ) as error:  # the channel is closed, or does not like what it is given: its words have the headers
            return Answer(failure=type(error).__name__, is_final=True)

    def close(self) -> None:
        self._channel.close()


def _credentials(destination: Destination) -> Any:
    trusted, own = destination.certificate, destination.client
    return grpc.ssl_channel_credentials(
        root_certificates=None if trusted is None else Path(trusted).read_bytes(),
        private_key=None if own is None else Path(own[1] or own[0]).read_bytes(),
        certificate_chain=None if own is None else Path(own[0]).read_bytes(),
    )


def _pause(error: Any) -> float | None:
    """Seconds, from RetryInfo among the details of the status."""
    found = RetryInfo()
    for name, value in error.trailing_metadata() or ():
        try:
            if name == "google.rpc.retryinfo-bin":
                found.ParseFromString(value)
            elif name == "grpc-status-details-bin":
                next(
                    (each.Unpack(found) for each in Status.FromString(value).details if each.Is(found.DESCRIPTOR)), None
                )
        except DecodeError:
            continue
    return found.retry_delay.seconds + found.retry_delay.nanos / 1e9 if found.HasField("retry_delay") else None
