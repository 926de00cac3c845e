"""What a scraper reads, as a table of series."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families

from gateway.trace.metrics.exposition import exposition
from gateway.trace.metrics.series import Totals

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def series(text: str) -> dict[str, float]:
    """Each series as `name{label="value",…}`, labels sorted, with its value. Raises ValueError if it is not Prometheus' text."""
    return _table(text_string_to_metric_families(text))


def open_series(text: str) -> dict[str, float]:
    """The same of OpenMetrics."""
    return _table(open_metrics_families(text))  # type: ignore[no-untyped-call]


def exemplars(text: str) -> dict[str, str]:
    """The trace of each bucket that has one, by `name{…}`."""
    return {
        _name(sample.name, sample.labels): sample.exemplar.labels["trace_id"]
        for family in open_metrics_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar is not None
    }


def shown(totals: Totals) -> dict[str, float]:
    """What a scraper would read of these totals."""
    return series(exposition(totals, "")[0].decode())


def _table(families: Iterable[Metric]) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in families:
        for sample in family.samples:
            name = _name(sample.name, sample.labels)
            assert name not in found, f"{name} is there twice"
            found[name] = sample.value
    return found


def _name(name: str, labels: dict[str, str]) -> str:
    told = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{told}}}" if told else name
