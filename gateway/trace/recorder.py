"""Begins the record of each call: gives it its place in a trace, and hands it to whoever keeps records once it has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.core.arrival import Asked
from gateway.core.clock import Clock
from gateway.core.span import SpanContext
from gateway.trace.record import Record, Write
from gateway.trace.rules import Inbound, TraceRules
from gateway.trace.sampling import Sampler


@dataclass(frozen=True, slots=True)
class Recorder:
    """`begin` is told of each call that begins, and `write` of the same record when the call has ended; `find` reads the row
    of a call that has ended, by its id, and raises Overloaded."""

    begin: Write
    write: Write
    find: Callable[[str], Awaitable[Mapping[str, Any] | None]]
    sampler: Sampler
    clock: Clock
    random: Random

    def record(self, arrival: Asked, policy: str, rules: TraceRules) -> Record:
        """A context manager; `policy` is the version that the call begins with."""
        caller = None if rules.inbound is Inbound.IGNORE else arrival.context
        parent = caller if rules.inbound is Inbound.PARENT else None
        bits = self.random.getrandbits
        trace_id = parent.trace_id if parent is not None else bits(128) or 1
        is_sampled = self.sampler.samples(trace_id, parent)
        span = SpanContext(trace_id, bits(64) or 1, is_sampled, parent.state if parent is not None else "")
        record = Record(arrival, policy, rules, span=span, parent=caller, clock=self.clock, write=self.write)
        self.begin(record)
        return record
