"""The identity of spans: which trace a call belongs to, as W3C Trace Context says it on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(
    rb"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_STATE_BYTES, _STATE_MEMBERS = 512, 32
_STEP = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span's place. `trace_id` has 128 bits and `span_id` 64, neither is 0; `state` is the `tracestate` that goes with it."""

    trace_id: int
    span_id: int
    is_sampled: bool
    state: str = ""

    def traceparent(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.is_sampled:02x}"


def read_context(traceparent: bytes | None, tracestate: bytes | None) -> SpanContext | None:
    """The context that a request carries, or None when there is none that the standard lets us take."""
    found = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent is not None else None
    if found is None or found[1] == b"ff" or (found[1] == b"00" and found[5]):
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not trace_id or not span_id:
        return None
    state = _state(tracestate) if tracestate is not None else ""
    return SpanContext(trace_id, span_id, bool(int(found[4], 16) & 1), state)


def _state(tracestate: bytes) -> str:
    """A `tracestate` in its shortest form; "" for one that the standard tells us to drop."""
    members = [member for each in tracestate.split(b",") if (member := each.strip(b" \t"))]
    found = [_MEMBER.fullmatch(member) for member in members]
    keys = {match[1] for match in found if match is not None}
    if len(tracestate) > _STATE_BYTES or len(keys) != len(members) or len(keys) > _STATE_MEMBERS:
        return ""
    return b",".join(members).decode("ascii")


def child_id(span_id: int, number: int) -> int:
    """The id of a span's child: the same whenever it is asked for, so that what is told later is told of the same span."""
    return (span_id + number * _STEP) & _MASK or 1
