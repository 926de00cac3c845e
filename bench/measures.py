"""What is measured of every contender, and how one measurement is taken."""

import time
from dataclasses import dataclass
from enum import Enum

from bench.contender import Pace
from bench.load import Loader, Order, Outcome
from bench.process import Process
from bench.startup import Running

# A stream of 60 chunks 20 ms apart takes 1.2 s; connections are there for one that takes 3.
LONGEST_STREAM = 3.0
# CPU is read this long after the last answer, so that work put off (records, metrics, logs) is counted too.
PUT_OFF = 1.2


class Kind(Enum):
    CLOSED = "closed loop"
    OPEN = "open loop"
    STREAMS = "streams, unpaced"
    PACED = "streams, paced"


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    model: str
    kind: Kind


MEASURES = (
    Measure("0.5 KB", "mock-512", Kind.CLOSED),
    Measure("8 KB", "mock-8k", Kind.CLOSED),
    Measure("100 KB", "mock-100k", Kind.CLOSED),
    Measure("latency", "mock-512", Kind.OPEN),
    Measure("streams", "mock-stream", Kind.STREAMS),
    Measure("paced streams", "mock-stream-20ms", Kind.PACED),
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a run takes. All times in seconds, of one measurement."""

    rounds: int
    closed: float
    open: float
    paced: float
    starts: int
    soak_calls: int


FULL = Effort(rounds=3, closed=3, open=8, paced=5, starts=3, soak_calls=50_000)
QUICK = Effort(rounds=1, closed=1, open=3, paced=2, starts=3, soak_calls=10_000)


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. `cpu_us` is per call, for streams per chunk, and None where there is no server between."""

    per_second: float
    cpu_us: float | None
    p50_ms: float
    p99_ms: float
    calls: int
    errors: int
    last_error: str


def order_for(measure: Measure, pace: Pace, effort: Effort) -> Order:
    """The load that a measure puts on a contender of this pace."""
    match measure.kind:
        case Kind.CLOSED:
            return Order(measure.model, connections=pace.connections, seconds=effort.closed)
        case Kind.OPEN:
            return Order(measure.model, pace.connections, seconds=effort.open, rate=pace.calls_per_second)
        case Kind.STREAMS:
            return Order(measure.model, connections=pace.streams, seconds=effort.closed)
        case Kind.PACED:
            enough = int(pace.streams_per_second * LONGEST_STREAM) + 8
            return Order(measure.model, connections=enough, seconds=effort.paced, rate=pace.streams_per_second)


def take(running: Running, order: Order, loader: Loader) -> Sample:
    """Raises LoadFailed when there was nothing to measure."""
    if running.process is None:
        return sample_of(loader.run(running.contender, order), None)
    before = running.process.cpu_seconds()
    outcome = loader.run(running.contender, order)
    return sample_of(outcome, _cpu_since(before, running.process))


def sample_of(outcome: Outcome, cpu_seconds: float | None) -> Sample:
    units = outcome.chunks or outcome.requests
    return Sample(
        per_second=outcome.per_second,
        cpu_us=None if cpu_seconds is None else cpu_seconds * 1e6 / units,
        p50_ms=outcome.p50_ms,
        p99_ms=outcome.p99_ms,
        calls=outcome.requests,
        errors=outcome.errors,
        last_error=outcome.last_error,
    )


def _cpu_since(before: float, process: Process) -> float:
    time.sleep(PUT_OFF)
    return process.cpu_seconds() - before
