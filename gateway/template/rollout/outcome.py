"""What a call came to for the version of the template that was put round it, read from the call's row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.template.rollout.bounds import Measure
from gateway.template.rollout.tally import Tally

Row = Mapping[str, Any]

_OURS = frozenset(
    {"rejected_auth", "rejected_rate", "rejected_budget", "rejected_policy", "overloaded", "internal_error"}
)
"""Outcomes that no version of a template brings about."""
_LEFT = frozenset({"client_abort", "stopped_budget"})
"""The same of calls that a provider had begun to answer."""
SHADOW = "shadow"
"""Why a call of ours, beside a client's, has its version."""
_DRAWN = "rollout"
"""Why a call has its version, where that was drawn for it alone: see core.prompt.Prompt."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`template` is its name, `version` the version's hash, `unit` whom the draw was made for, "" where there was none: later
    calls of a conversation that keeps its version were not drawn. `is_kept`: a cache answered. `latency_ms` and `cost`
    (nano-USD) are None where nobody answered in full; `has_left`: that was not the version's fault."""

    template: str
    version: str
    unit: str
    failed: bool = False
    has_left: bool = False
    is_kept: bool = False
    latency_ms: float | None = None
    cost: int | None = None
    input: int | None = None
    output: int | None = None

    def count(self, tally: Tally) -> None:
        tally.calls += 1
        if self.is_kept:
            tally.hits += 1
            return
        tally.errors += self.failed
        if self.latency_ms is not None:
            tally.learn_latency(self.latency_ms)
        for value, sums in ((self.cost, tally.cost), (self.input, tally.input), (self.output, tally.output)):
            if value is not None:
                sums.learn(value)

    def measured(self) -> Iterator[tuple[Measure, float]]:
        """What two versions are compared by. What a cache answered is left out: the one of an old version knows more."""
        if self.is_kept or self.has_left:
            return
        yield Measure.ERRORS, float(self.failed)
        if self.failed:
            return
        for measure, value in ((Measure.LATENCY, self.latency_ms), (Measure.COST, self.cost)):
            if value:
                yield measure, value


def outcome_of(row: Row) -> Outcome | None:
    """None for a call without a template, and for one that failed for other reasons than its own."""
    prompt, outcome = row.get("prompt"), row["outcome"]
    if prompt is None or outcome in _OURS:
        return None
    is_kept, has_left = outcome.startswith("cache_"), outcome in _LEFT
    failed = row["error_code"] is not None and not has_left
    is_answered = not (failed or has_left or is_kept)
    return Outcome(
        template=prompt["name"],
        version=prompt["hash"],
        unit=prompt["unit"] if prompt["reason"] == _DRAWN else "",
        failed=failed,
        has_left=has_left,
        is_kept=is_kept,
        latency_ms=row["duration_ms"] if is_answered else None,
        cost=row["cost_nano_usd"] if is_answered else None,
        input=row["input_tokens"],
        output=row["output_tokens"],
    )
