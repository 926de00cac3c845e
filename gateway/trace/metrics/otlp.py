"""Totals as the OpenTelemetry SDK's own data, and as its encoder's bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opentelemetry.exporter.otlp.proto.common._internal.metrics_encoder import EncodingException
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from gateway.trace.metrics.instrument import Instrument, Kind
from gateway.trace.metrics.instruments import INSTRUMENTS, OVERFLOW_LABEL
from gateway.trace.metrics.series import OVERFLOW, Counter, Histogram, Labels, Sample, Totals
from gateway.trace.resource import our_version

SCHEMA = "https://opentelemetry.io/schemas/1.41.0"

_CUMULATIVE, _DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
_NUMBERS = frozenset({"http.response.status_code"})
"""Attributes that are integers."""


class Report:
    """Gives what is pushed. `preference` is the temporality's: cumulative, delta or lowmemory (delta but for what is asked).

    Deltas are from what was `delivered` last, so that a collector that was away misses nothing; what has not changed since is
    left out. `started` is UTC seconds.
    """

    def __init__(self, resource: Resource, *, preference: str, started: float) -> None:
        self._resource = resource
        self._scope = InstrumentationScope("llmgw", our_version(), SCHEMA)
        self._preference = preference
        self._started = started
        self._delivered = Totals()
        self._delivered_at = started

    def data(self, totals: Totals, now: float) -> MetricsData:
        metrics = [
            Metric(instrument.otlp, instrument.description, instrument.unit, data)
            for instrument in INSTRUMENTS.values()
            if (data := self._data(instrument, totals, round(now * 1e9))).data_points
        ]
        scope = ScopeMetrics(self._scope, metrics, SCHEMA)
        return MetricsData([ResourceMetrics(self._resource, [scope], self._resource.schema_url)])

    def encoded(self, totals: Totals, now: float) -> bytes:
        """An ExportMetricsServiceRequest. Raises ValueError if a figure is none that OTLP has."""
        try:
            return bytes(encode_metrics(self.data(totals, now)).SerializeToString())
        except EncodingException as error:
            raise ValueError(str(error.metric.name)) from None

    def delivered(self, totals: Totals, now: float) -> None:
        """What `data` made of these totals has reached the collector."""
        self._delivered, self._delivered_at = totals, now

    def _data(self, instrument: Instrument, totals: Totals, now: int) -> Sum | Gauge | HistogramData:
        name = instrument.name
        is_delta = self._preference == "delta" or (self._preference == "lowmemory" and not instrument.is_asked)
        before = self._delivered if is_delta else Totals()
        start = round((self._delivered_at if is_delta else self._started) * 1e9)
        temporality = _DELTA if is_delta else _CUMULATIVE
        if instrument.kind is Kind.HISTOGRAM:
            earlier = before.histograms.get(name, {})
            return HistogramData(
                list(_histograms(instrument, totals.histograms.get(name, {}), earlier, start=start, now=now)),
                temporality,
            )
        if instrument.kind is Kind.COUNTER:
            counters = totals.counters.get(name, {})
            points = list(_counters(instrument, counters, before.counters.get(name, {}), start=start, now=now))
            return Sum(points, temporality, is_monotonic=True)
        gauges = [
            NumberDataPoint(_attributes(instrument, labels), 0, now, value)
            for labels, value in totals.gauges.get(name, {}).items()
        ]
        return Sum(gauges, _CUMULATIVE, is_monotonic=False) if instrument.adds else Gauge(gauges)


def _counters(
    instrument: Instrument, now_are: Mapping[Labels, Counter], were: Mapping[Labels, Counter], *, start: int, now: int
) -> Iterator[NumberDataPoint]:
    for labels, cell in now_are.items():
        before = were.get(labels)
        if before is not None and before.value == cell.value:
            continue
        value = cell.value - (0 if before is None else before.value)
        if instrument.scale == 1:
            yield NumberDataPoint(_attributes(instrument, labels), start, now, int(value))
        else:
            yield NumberDataPoint(_attributes(instrument, labels), start, now, value * instrument.scale)


def _histograms(
    instrument: Instrument,
    now_are: Mapping[Labels, Histogram],
    were: Mapping[Labels, Histogram],
    *,
    start: int,
    now: int,
) -> Iterator[HistogramDataPoint]:
    for labels, cell in now_are.items():
        counts, sum_now = cell.counts, cell.sum
        if (before := were.get(labels)) is not None:
            if before.counts == counts:
                continue
            counts = [one - two for one, two in zip(counts, before.counts, strict=True)]
            sum_now -= before.sum
        yield HistogramDataPoint(
            attributes=_attributes(instrument, labels),
            start_time_unix_nano=start,
            time_unix_nano=now,
            count=sum(counts),
            sum=sum_now,
            bucket_counts=counts,
            explicit_bounds=instrument.buckets,
            min=None,  # type: ignore[arg-type] # not known, which the exporters understand
            max=None,  # type: ignore[arg-type]
            exemplars=[_exemplar(each) for each in cell.samples or () if each is not None and each.at * 1e9 >= start],
        )


def _attributes(instrument: Instrument, labels: Labels) -> dict[str, str | int | bool]:
    if labels == OVERFLOW:
        return {OVERFLOW_LABEL.replace("otel_metric_", "otel.metric."): True}
    pairs = zip(instrument.labels, labels, strict=True)
    return {name: int(value) if name in _NUMBERS else value for name, value in pairs if value}


def _exemplar(sample: Sample) -> Exemplar:
    return Exemplar({}, sample.value, round(sample.at * 1e9), int(sample.span_id, 16), int(sample.trace_id, 16))
