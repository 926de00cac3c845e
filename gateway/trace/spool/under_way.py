"""The calls that a worker is answering, and notes of those that take longer, from which others can tell what became of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import orjson

from gateway.trace.record import Record
from gateway.trace.row import storable

NOTED = 0.1
"""Seconds after which a call that is still under way is noted."""


_Progress = tuple[int, int, int | None]
"""How far a call has come: stages passed, attempts begun, nano-USD held."""


class UnderWay:
    """`ended` counts the calls that have ended since they were noted."""

    def __init__(self) -> None:
        self._calls: dict[Record, bool] = {}
        self._fresh: deque[Record] = deque()
        self._noted: dict[Record, _Progress] = {}
        self.ended = 0

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self, record: Record) -> None:
        self._calls[record] = False
        self._fresh.append(record)

    def end(self, record: Record) -> None:
        self.ended += self._calls.pop(record, False)
        self._noted.pop(record, None)

    def notes(self, now: float) -> bytes:
        """Lines of JSON about the calls that are to be noted now, or once more; `now` in monotonic seconds.

        A call is noted anew whenever it has come further, until its answer begins: what it holds is known late.
        """
        lines = []
        for record, noted in tuple(self._noted.items()):
            if (progress := _progress(record)) != noted:
                self._noted[record] = progress
                lines.append(_line(record))
            if record.served is not None:
                del self._noted[record]
        while self._fresh and self._fresh[0].received <= now - NOTED:
            record = self._fresh.popleft()
            if record in self._calls:
                self._calls[record] = True
                self._noted[record] = _progress(record)
                lines.append(_line(record))
        return b"".join(lines)

    def all_notes(self) -> bytes:
        """The same of every call that has been noted and is still under way."""
        self.ended = 0
        return b"".join(_line(record) for record, is_noted in self._calls.items() if is_noted)


def _progress(record: Record) -> _Progress:
    return len(record.passed), len(record.attempts), record.hold.reserved_usd if record.hold is not None else None


def _line(record: Record) -> bytes:
    note = dict(_note(record))
    try:
        return orjson.dumps(note, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate
        note = {name: storable(value) for name, value in note.items()}
        return orjson.dumps(note, option=orjson.OPT_APPEND_NEWLINE)


def _note(record: Record) -> Iterator[tuple[str, object]]:
    """What is known of the call by now, under the names that rows have."""
    arrival, parent, tenant, call = record.arrival, record.parent, record.tenant, record.call
    yield "id", record.id
    yield "at", record.received_at
    yield "trace_id", f"{record.span.trace_id:032x}"
    yield "span_id", f"{record.span.span_id:016x}"
    yield "sampled", record.span.is_sampled
    if parent is not None and parent.trace_id == record.span.trace_id:
        yield "parent_span_id", f"{parent.span_id:016x}"
    yield from (("method", arrival.method), ("path", arrival.path), ("operation", arrival.operation))
    yield "policy", record.policy
    if tenant is not None:
        yield from (("org", tenant.org), ("team", tenant.team), ("tenant", tenant.name))
        yield from (("key_id", tenant.key_id), ("key_name", tenant.key_name))
    if call is not None:
        yield from (("model", call.model[:256]), ("user", call.user), ("stream", call.stream))
        yield from (("tags", list(call.tags)), ("conversation", call.conversation))
    if record.decision is not None:
        yield from (("route", record.decision.route), ("reason", record.decision.reason))
    if record.attempts:
        last = record.attempts[-1]
        yield from (("deployment", last.deployment[:256]), ("provider", last.provider))
        yield "upstream_model", last.target.upstream_model[:256]
    if record.hold is not None:
        yield "reserved_nano_usd", record.hold.reserved_usd
