"""From a record's row to the spans of its call: the server's, one for each stage that has something to tell, one per attempt.

Attributes follow OpenTelemetry's conventions for HTTP and generative AI, and ours begin with `llmgw.`. Money is in USD here,
as a double, since that is what trace backends add up; the record has it in whole nano-USD. Nothing that was said in the call
is told unless the policy captures it into spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.attempt import FIRST_ATTEMPT
from gateway.core.span import child_id
from gateway.trace.outcomes import TRIAL
from gateway.trace.row import answered
from gateway.trace.spans.attempt import attempt_span
from gateway.trace.spans.server import server_span
from gateway.trace.spans.span import NANO, Common, Kind, Span, Trace, Value, nanoseconds
from gateway.trace.spans.stage import stage_span

Row = Mapping[str, Any]


def trace_of(row: Row) -> Trace:
    """The trace that a record's row tells."""
    begin = round(row["at"] * NANO)
    if row["outcome"] == TRIAL:
        return Trace(row["trace_id"], [_trial(row, begin)], row.get("trace_state", ""))
    root = int(row["span_id"], 16)
    spans = [server_span(row, begin)]
    for number, stage in enumerate(row["stages"], start=1):
        spans.append(stage_span(row, stage, f"{child_id(root, number):016x}", begin))
    served = answered(row)
    for attempt in row["attempts"]:
        id = f"{child_id(root, FIRST_ATTEMPT + attempt['number'] - 1):016x}"
        spans.append(attempt_span(row, attempt, id, begin, is_answered=attempt is served))
    for span in spans[1:]:
        span.end = min(span.end, spans[0].end)  # rounded, a part may end after the whole
        span.begin = min(span.begin, span.end)
    return Trace(row["trace_id"], spans, row.get("trace_state", ""))


def _trial(row: Row, begin: int) -> Span:
    """Of a trial that has ended; its calls have traces of their own, or spans of this one."""
    told: dict[str, Value] = {f"llmgw.trial.{name}": value for name, value in row["trial"].items() if value is not None}
    end = begin + nanoseconds(row["duration_ms"] or 0.0)
    span = Span("llmgw.trial", Kind.INTERNAL, row["span_id"], row["parent_span_id"], begin, end, Common(told), {})
    if (link := row.get("link")) is not None:
        span.link = link["trace_id"], link["span_id"]
    return span
