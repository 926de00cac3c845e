"""Whether and how metrics are pushed: OpenTelemetry's own variables, most of which the SDK's exporters read themselves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter

INTERVAL = 60.0
"""Seconds between two pushes, where OTEL_METRIC_EXPORT_INTERVAL says nothing."""
_HTTP, _GRPC = "http/protobuf", "grpc"
_PREFERENCES = ("cumulative", "delta", "lowmemory")

log = logging.getLogger("llmgw.trace")


def is_wanted(environment: Mapping[str, str]) -> bool:
    """`otlp` in OTEL_METRICS_EXPORTER, or nothing there and an endpoint set. /metrics is served whatever it says."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    chosen = environment.get("OTEL_METRICS_EXPORTER", "").strip().lower()
    if chosen:
        return "otlp" in [each.strip() for each in chosen.split(",")]
    names = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    return any(environment.get(name, "").strip() for name in names)


def exporter(environment: Mapping[str, str]) -> MetricExporter | None:
    """The SDK's exporter for the protocol that is asked for; None, and a line in the log, if its variables make no sense.

    Slow to import. The exporter itself reads endpoint, headers, timeout, compression and certificates from the process's
    environment.
    """
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)  # they tell of every try; we of every change
    try:
        return _exporter(_protocol(environment))
    except (ValueError, RuntimeError, OSError) as error:
        log.error("metrics are not pushed", extra={"reason": str(error)})
        return None


def preference(environment: Mapping[str, str]) -> str:
    """The temporality that the collector is said to prefer."""
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    chosen = environment.get(name, "").strip().lower() or _PREFERENCES[0]
    if chosen not in _PREFERENCES:
        log.warning("the temporality is not known; cumulative is taken", extra={"variable": name, "value": chosen})
        return _PREFERENCES[0]
    return chosen


def interval(environment: Mapping[str, str]) -> float:
    """Seconds between two pushes."""
    name = "OTEL_METRIC_EXPORT_INTERVAL"
    text = environment.get(name, "").strip()
    if not text:
        return INTERVAL
    if not text.isdecimal() or int(text) == 0:
        log.warning("the interval is no number of milliseconds; it is a minute", extra={"variable": name})
        return INTERVAL
    return int(text) / 1000


def _protocol(environment: Mapping[str, str]) -> str:
    for name in ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if chosen := environment.get(name, "").strip().lower():
            return chosen
    return _HTTP


def _exporter(protocol: str) -> MetricExporter:
    if protocol == _GRPC:
        from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc  # noqa: PLC0415 (slow)

        return grpc.OTLPMetricExporter()
    if protocol == _HTTP:
        from opentelemetry.exporter.otlp.proto.http import metric_exporter as http  # noqa: PLC0415 (slow)

        return http.OTLPMetricExporter()
    raise ValueError(f"the protocol {protocol[:32]} is neither {_HTTP} nor {_GRPC}")
