"""Which traces are exported, by OpenTelemetry's own variables. Calls that went wrong are exported whatever was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.span import SpanContext
from gateway.trace.collector.variables import choice, first, misread

SAMPLER, ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_RATIOS = {"always_on": 1.0, "always_off": 0.0, "traceidratio": None}
_NAMES = (*(f"parentbased_{name}" for name in _RATIOS), *_RATIOS)
"""The first is the default."""
_LOW_64_BITS = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Sampler:
    """`bound`: of 2⁶⁴ trace ids so many are sampled, the same ones in every process with the same ratio."""

    bound: int = 2**64
    is_parent_based: bool = True

    def samples(self, trace_id: int, parent: SpanContext | None) -> bool:
        if parent is not None and self.is_parent_based:
            return parent.is_sampled
        return trace_id & _LOW_64_BITS < self.bound


def sampler_of(environment: Mapping[str, str]) -> Sampler:
    """As the specification says: what cannot be read is logged, and the default taken."""
    name = choice(environment, (SAMPLER,), _NAMES)
    plain = name.removeprefix("parentbased_")
    ratio = _RATIOS[plain]
    if ratio is None:
        ratio = _ratio(first(environment, (ARGUMENT,))[1])
    return Sampler(round(ratio * 2**64), is_parent_based=plain != name)


def _ratio(text: str) -> float:
    try:
        ratio = float(text or 1.0)
    except ValueError:
        ratio = -1.0
    if 0.0 <= ratio <= 1.0:
        return ratio
    misread(ARGUMENT, "it is no number from 0 to 1", 1.0)
    return 1.0
