"""Totals as Prometheus' text or OpenMetrics, whichever the scraper asks for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from gateway.trace.metrics.instruments import INSTRUMENTS, OVERFLOW_LABEL, Instrument, Kind
from gateway.trace.metrics.series import OVERFLOW, Counter, Histogram, Labels, Sample, Totals

_TYPES = {Kind.COUNTER: "counter", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}


def exposition(totals: Totals, accept: str) -> tuple[bytes, str]:
    """The text and its content type, for a scraper that sends this `Accept` header. Takes a while: not for the event loop."""
    encode, content_type = choose_encoder(accept)
    return encode(_Once(totals)), content_type


class _Once(Collector):
    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        for instrument in INSTRUMENTS.values():
            metric = Metric(instrument.name.removesuffix("_total"), instrument.description, _TYPES[instrument.kind])
            for labels, cell in self._totals.counters.get(instrument.name, {}).items():
                _counter(metric, instrument, _named(instrument, labels), cell)
            for labels, histogram in self._totals.histograms.get(instrument.name, {}).items():
                _histogram(metric, instrument, _named(instrument, labels), histogram)
            for labels, value in self._totals.gauges.get(instrument.name, {}).items():
                metric.add_sample(instrument.name, _named(instrument, labels), value)
            if metric.samples:
                yield metric


def _named(instrument: Instrument, labels: Labels) -> dict[str, str]:
    """A label that does not apply is one that is not there."""
    if labels == OVERFLOW:
        return {OVERFLOW_LABEL: "true"}
    pairs = zip(instrument.labels, labels, strict=True)
    return {name.replace(".", "_"): value for name, value in pairs if value}


def _counter(metric: Metric, instrument: Instrument, labels: dict[str, str], cell: Counter) -> None:
    metric.add_sample(instrument.name, labels, cell.value * instrument.scale)


def _histogram(metric: Metric, instrument: Instrument, labels: dict[str, str], cell: Histogram) -> None:
    total = 0
    for bucket, bound in enumerate((*(str(float(each)) for each in instrument.buckets), "+Inf")):
        total += cell.counts[bucket]
        exemplar = _exemplar(cell.samples[bucket]) if cell.samples else None
        metric.add_sample(f"{instrument.name}_bucket", labels | {"le": bound}, total, exemplar=exemplar)
    metric.add_sample(f"{instrument.name}_count", labels, total)
    metric.add_sample(f"{instrument.name}_sum", labels, cell.sum)


def _exemplar(sample: Sample | None) -> Exemplar | None:
    return None if sample is None else Exemplar({"trace_id": sample.trace_id}, sample.value, sample.at)
