"""Which traces are exported, by OpenTelemetry's own variables. Calls that went wrong are exported whatever was drawn."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.span import SpanContext

SAMPLER, ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_DEFAULT = "parentbased_always_on"
_RATIOS = {"always_on": 1.0, "always_off": 0.0, "traceidratio": None}
_LOW_64_BITS = 2**64 - 1

log = logging.getLogger("llmgw.trace")


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
    name = environment.get(SAMPLER, "").strip().lower() or _DEFAULT
    plain = name.removeprefix("parentbased_")
    if plain not in _RATIOS:
        log.warning("the sampler is not known; every trace is sampled", extra={"variable": SAMPLER, "value": name})
        return Sampler()
    ratio = _RATIOS[plain]
    if ratio is None:
        ratio = _ratio(environment.get(ARGUMENT, ""))
    return Sampler(round(ratio * 2**64), is_parent_based=plain != name)


def _ratio(text: str) -> float:
    try:
        ratio = float(text or 1.0)
    except ValueError:
        ratio = -1.0
    if 0.0 <= ratio <= 1.0:
        return ratio
    log.warning("the ratio is no number from 0 to 1; every trace is sampled", extra={"variable": ARGUMENT})
    return 1.0
