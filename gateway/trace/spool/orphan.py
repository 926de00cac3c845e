"""The record of a call whose worker died, made from the note that it left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.secret import Secret
from gateway.core.span import SpanContext
from gateway.trace.record import Record
from gateway.trace.row import Row, row_of
from gateway.trace.rules import TraceRules

_ORPHANED = {
    "status": 500,
    "outcome": "orphaned",
    "error_code": "worker_died",
    "error": "The worker that was answering this call died.",
    "duration_ms": None,
    "first_byte_ms": None,
    "overhead_ms": None,
    "waited_ms": None,
    "stages": [],
    "attempts": [],
}


@dataclass(frozen=True, slots=True)
class _Noted:
    """The arrival that a note tells of."""

    id: str
    method: str
    path: str
    operation: str
    received: float = 0.0
    peer: str = ""
    context: SpanContext | None = None
    credential: Secret | None = None

    def read(self, *, strict: bool) -> Call:
        raise NotImplementedError


def orphan(note: dict[str, Any]) -> Row:
    """Raises KeyError, ValueError, TypeError for what is no note."""
    record = Record(
        _Noted(note["id"], note["method"], note["path"], note["operation"]),
        note["policy"],
        TraceRules(),
        span=SpanContext(int(note["trace_id"], 16), int(note["span_id"], 16), bool(note["sampled"])),
        parent=None,
        clock=Clock(),
        write=lambda _: None,
    )
    return row_of(record) | note | _ORPHANED
