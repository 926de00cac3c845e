"""Numbers by instrument and labels: what is counted, written to other workers, and shown."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

import msgspec

from gateway.trace.metrics.instrument import Instrument, Kind
from gateway.trace.metrics.instruments import INSTRUMENTS, OVERFLOW_LABEL

CEILING = 2000
"""Series of one instrument in one worker, the one for what does not fit included."""

Labels = tuple[str, ...]
"""The labels' values, in the instrument's order; "" is a label that does not apply."""
OVERFLOW: Labels = (OVERFLOW_LABEL, "true")
Reading = tuple[Instrument, Labels, float]
"""What a gauge or a counter says when it is asked."""


class Sample(msgspec.Struct, array_like=True, gc=False):
    """A call whose trace is exported: its value, when (UTC seconds), and its SERVER span."""

    value: float
    at: float
    trace_id: str
    span_id: str


class Counter(msgspec.Struct, array_like=True, gc=False):
    value: float = 0.0


class Histogram(msgspec.Struct, array_like=True):
    """`counts` has one more than there are bounds; `samples`, a recent one for each of them, or is None."""

    counts: list[int]
    sum: float = 0.0
    samples: list[Sample | None] | None = None


class Totals(msgspec.Struct):
    """Series by the instrument's name."""

    counters: dict[str, dict[Labels, Counter]] = {}
    histograms: dict[str, dict[Labels, Histogram]] = {}
    gauges: dict[str, dict[Labels, float]] = {}


encode = msgspec.msgpack.Encoder().encode


def decoded(totals: bytes | msgspec.Raw) -> Totals:
    """Totals that were encoded; none where that was done by another version, whose totals were others."""
    try:
        return msgspec.msgpack.decode(totals, type=Totals)
    except msgspec.MsgspecError:
        return Totals()


def add(cell: Histogram, bounds: tuple[float, ...], value: float) -> None:
    """A time that comes out negative, for clocks are read one after the other, counts as none: sums must not fall."""
    if value < 0:
        value = 0.0
    cell.counts[bisect_left(bounds, value)] += 1
    cell.sum += value


def add_sampled(cell: Histogram, bounds: tuple[float, ...], sample: Sample) -> None:
    """As `add`, and keeps the sample as its bucket's latest."""
    value = sample.value
    bucket = bisect_left(bounds, value)
    cell.counts[bucket] += 1
    if value > 0:
        cell.sum += value
    if cell.samples is not None:
        cell.samples[bucket] = sample


def counter(totals: Totals, instrument: Instrument, labels: Labels) -> Counter:
    """The series with these labels, or the one for what does not fit."""
    series = totals.counters.setdefault(instrument.name, {})
    found = series.get(labels := _fitting(series, labels))
    if found is None:
        found = series[labels] = Counter()
    return found


def histogram(totals: Totals, instrument: Instrument, labels: Labels) -> Histogram:
    """The series with these labels, or the one for what does not fit."""
    series = totals.histograms.setdefault(instrument.name, {})
    found = series.get(labels := _fitting(series, labels))
    if found is None:
        size = len(instrument.buckets) + 1
        samples: list[Sample | None] | None = [None] * size if instrument.has_exemplars else None
        found = series[labels] = Histogram([0] * size, 0.0, samples)
    return found


def take(totals: Totals, readings: Iterable[Reading]) -> None:
    """Puts in what was read; a gauge read twice with the same labels is merged as the workers' are."""
    for instrument, labels, value in readings:
        if instrument.kind is Kind.COUNTER:
            counter(totals, instrument, labels).value = value
        else:
            series = totals.gauges.setdefault(instrument.name, {})
            _merge_gauge(series, instrument, _fitting(series, labels), value)


def merge(into: Totals, other: Totals) -> None:
    """Adds `other`, which is left as it is. What `into` has of its own is changed in place."""
    for name, counters in other.counters.items():
        if name in INSTRUMENTS:
            for labels, cell in counters.items():
                counter_of(into, name, labels).value += cell.value
    for name, histograms in other.histograms.items():
        if name in INSTRUMENTS:
            _merge_histograms(into.histograms.setdefault(name, {}), histograms)
    for name, gauges in other.gauges.items():
        if name in INSTRUMENTS:
            for labels, value in gauges.items():
                _merge_gauge(into.gauges.setdefault(name, {}), INSTRUMENTS[name], labels, value)


def counter_of(totals: Totals, name: str, labels: Labels) -> Counter:
    """The series with these labels, however many there are."""
    return totals.counters.setdefault(name, {}).setdefault(labels, Counter())


def _fitting(series: Mapping[Labels, object], labels: Labels) -> Labels:
    return labels if labels in series or len(series) < CEILING - 1 else OVERFLOW


def _merge_gauge(series: dict[Labels, float], instrument: Instrument, labels: Labels, value: float) -> None:
    before = series.get(labels)
    if before is None:
        series[labels] = value
    else:
        series[labels] = before + value if instrument.adds else max(before, value)


def _merge_histograms(into: dict[Labels, Histogram], other: Mapping[Labels, Histogram]) -> None:
    for labels, cell in other.items():
        mine = into.get(labels)
        if mine is None:
            into[labels] = Histogram(cell.counts.copy(), cell.sum, cell.samples and cell.samples.copy())
        elif len(mine.counts) == len(cell.counts):
            mine.counts = [one + two for one, two in zip(mine.counts, cell.counts, strict=True)]
            mine.sum += cell.sum
            if mine.samples and cell.samples:
                mine.samples = [_later(one, two) for one, two in zip(mine.samples, cell.samples, strict=True)]


def _later(one: Sample | None, two: Sample | None) -> Sample | None:
    if one is None or two is None:
        return one or two
    return one if one.at >= two.at else two
