"""What became of one request to the collector."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse


@dataclass(frozen=True, slots=True)
class Answer:
    """`failure` is why nothing was taken; None: it was, but for `rejected` spans or data points, of which the collector says
    `message`. `is_final`: the same request would fail again. `retry_after` is the pause it asks for, in seconds.

    Both texts are the collector's or the system's: conceal them before they are logged.
    """

    failure: str | None = None
    is_final: bool = False
    retry_after: float | None = None
    rejected: int = 0
    message: str = ""


def taken(body: bytes) -> Answer:
    """From the response of any signal: partial success has the same numbers in all of them."""
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return Answer(message="its answer is none of a collector's")
    return Answer(rejected=max(0, partial.rejected_spans), message=partial.error_message)
