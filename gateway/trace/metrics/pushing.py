"""How metrics are pushed, by OpenTelemetry's own variables."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.trace.collector.variables import choice, whole

INTERVAL = 60.0
"""Seconds between two pushes, where OTEL_METRIC_EXPORT_INTERVAL says nothing."""
_PREFERENCES = ("cumulative", "delta", "lowmemory")


def preference(environment: Mapping[str, str]) -> str:
    """The temporality that the collector is said to prefer."""
    return choice(environment, ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",), _PREFERENCES)


def interval(environment: Mapping[str, str]) -> float:
    """Seconds between two pushes."""
    return (whole(environment, ("OTEL_METRIC_EXPORT_INTERVAL",), round(INTERVAL * 1000), least=1) or 0) / 1000
