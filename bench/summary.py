"""One contender's figures: medians over the rounds, and what it adds to the mock's own latency."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.measures import Sample

Samples = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class Life:
    """Seconds and MB; None for the mock itself."""

    cold_start: float | None = None
    idle_mb: float | None = None
    after_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """CPU in µs per call or chunk, latencies in ms; None where it could not be measured."""

    name: str
    rate_small: float | None
    rate_medium: float | None
    rate_large: float | None
    cpu_small: float | None
    cpu_medium: float | None
    cpu_large: float | None
    p50: float | None
    p99: float | None
    added_p50: float | None
    added_p99: float | None
    streams_per_second: float | None
    cpu_chunk: float | None
    cpu_paced_chunk: float | None
    ttft: float | None
    added_ttft: float | None
    life: Life
    calls: int
    errors: int


def summarize(name: str, samples: Samples, *, direct: Samples, life: Life) -> Summary:
    """`direct` holds the same rounds without a gateway; what is added is the median of the rounds' differences."""
    return Summary(
        name=name,
        rate_small=middle(samples, "0.5 KB", _rate),
        rate_medium=middle(samples, "8 KB", _rate),
        rate_large=middle(samples, "100 KB", _rate),
        cpu_small=middle(samples, "0.5 KB", _cpu),
        cpu_medium=middle(samples, "8 KB", _cpu),
        cpu_large=middle(samples, "100 KB", _cpu),
        p50=middle(samples, "latency", _p50),
        p99=middle(samples, "latency", _p99),
        added_p50=added(samples, direct, "latency", _p50),
        added_p99=added(samples, direct, "latency", _p99),
        streams_per_second=middle(samples, "streams", _rate),
        cpu_chunk=middle(samples, "streams", _cpu),
        cpu_paced_chunk=middle(samples, "paced streams", _cpu),
        ttft=middle(samples, "paced streams", _p50),
        added_ttft=added(samples, direct, "paced streams", _p50),
        life=life,
        calls=sum(sample.calls for taken in samples.values() for sample in taken),
        errors=sum(sample.errors for taken in samples.values() for sample in taken),
    )


def middle(samples: Samples, measure: str, figure: Callable[[Sample], float | None]) -> float | None:
    """The median over the rounds."""
    values = [value for sample in samples.get(measure, ()) if (value := figure(sample)) is not None]
    return median(values) if values else None


def added(samples: Samples, direct: Samples, measure: str, figure: Callable[[Sample], float]) -> float | None:
    """The median over the rounds of what the contender took longer than the mock did in the same round."""
    pairs = zip(samples.get(measure, ()), direct.get(measure, ()), strict=False)
    differences = [figure(ours) - figure(mocks) for ours, mocks in pairs]
    return median(differences) if differences else None


def _rate(sample: Sample) -> float:
    return sample.per_second


def _cpu(sample: Sample) -> float | None:
    return sample.cpu_us


def _p50(sample: Sample) -> float:
    return sample.p50_ms


def _p99(sample: Sample) -> float:
    return sample.p99_ms
