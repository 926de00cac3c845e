"""What a metric is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    COUNTER = "C"
    GAUGE = "G"
    HISTOGRAM = "H"


@dataclass(frozen=True, slots=True)
class Instrument:
    """`name` is Prometheus', `otlp` OpenTelemetry's, as are `labels`, in which Prometheus has underscores for dots.

    `unit` is in UCUM. `scale` turns what is counted inside into the unit. `buckets` are upper bounds, included in their bucket.
    A gauge that `adds` is the sum of what the workers say, any other the largest. What `is_asked` is not counted from calls:
    whoever knows it is asked when it is wanted.
    """

    name: str
    otlp: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    description: str
    buckets: tuple[float, ...] = ()
    scale: float = 1
    has_exemplars: bool = False
    adds: bool = False
    is_asked: bool = False
