"""From records to exported spans: encoded where records are taken off their queue, and sent by a thread of their own.

What waits is bounded, in spans and in bytes; a collector that is away for an hour costs the oldest spans and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.resources import Resource

from gateway.trace.resource import our_version, resource
from gateway.trace.spans.otlp import SCOPE, UPSTREAM_SCOPE, Encoder, SpanLimits, request, scoped
from gateway.trace.spans.send import Send, sender
from gateway.trace.spans.tell import is_failure, trace_of

log = logging.getLogger("llmgw.trace")

SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
QUEUE_BYTES = 64 * 1024 * 1024
BYTES = 4 * 1024 * 1024
"""Bytes of spans in one request, more or less."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batching:
    """OTEL_BSP_*: spans that wait at most, spans in one request, and seconds until a request is sent that is not full."""

    queue: int = 20_480
    batch: int = 512
    delay: float = 5.0


class Tracer:
    """`see` is called for each record's row, by one thread. `keeps_failures`: they are exported whether sampled or not."""

    def __init__(
        self, send: Send, about: Resource, *, batching: Batching, limits: SpanLimits, keeps_failures: bool = True
    ) -> None:
        self.dropped = 0
        self.sent = 0
        self._send = send
        self._batching = batching
        self._encoder = Encoder(limits)
        self._about = Encoder(SpanLimits()).resource(about.attributes)
        self._keeps_failures = keeps_failures
        self._version = our_version()
        self._queue: deque[tuple[int, bytes, bytes]] = deque()
        self._spans = 0
        self._bytes = 0
        self._sending = 0
        self._is_away = False
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="llmgw-spans", daemon=True)
        self._thread.start()

    def see(self, row: Row) -> None:
        """Exports the call's trace, if it was sampled or went wrong. Never waits, and never fails: records come first."""
        if not row["sampled"] and not (self._keeps_failures and is_failure(row)):
            return
        try:
            trace = trace_of(row)
            ours, attempts = self._encoder.encode(trace)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            log.exception("a bug kept a trace from being told", extra={"request_id": row.get("id")})
            with self._changed:
                self.dropped += 1
            return
        with self._changed:
            self._queue.append((len(trace.spans), ours, attempts))
            self._spans += len(trace.spans)
            self._bytes += len(ours) + len(attempts)
            while self._spans > self._batching.queue or self._bytes > QUEUE_BYTES:
                self.dropped += self._pop()[0]
            if self._spans >= self._batching.batch:
                self._changed.notify()

    def close(self, seconds: float) -> None:
        """Sends what is left, within that time and unless a request fails; the rest is dropped. Blocks."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            self.dropped += self._spans + self._sending

    def _pop(self) -> tuple[int, bytes, bytes]:
        count, ours, attempts = self._queue.popleft()
        self._spans -= count
        self._bytes -= len(ours) + len(attempts)
        return count, ours, attempts

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_closing or self._spans >= self._batching.batch, self._batching.delay
                )
                is_last = self._is_closing
            while self._send_batch():
                if self._is_away:
                    break
            if is_last:
                self._send.close()
                return

    def _send_batch(self) -> bool:
        """Whether there was one."""
        ours: list[bytes] = []
        attempts: list[bytes] = []
        spans = size = 0
        with self._changed:
            while self._queue and spans < self._batching.batch and size < BYTES:
                count, own, tried = self._pop()
                spans += count
                size += len(own) + len(tried)
                ours.append(own)
                attempts.append(tried)
            self._sending = spans
        if not spans:
            return False
        scopes = [scoped(SCOPE, self._version, SCHEMA, ours)]
        if any(attempts):
            scopes.append(scoped(UPSTREAM_SCOPE, self._version, SCHEMA, attempts))
        is_sent = self._send.send(request(self._about, scopes))
        with self._changed:
            self._sending = 0
            if is_sent:
                self.sent += spans
            else:
                self.dropped += spans
        self._note(is_away=not is_sent)
        return True

    def _note(self, *, is_away: bool) -> None:
        """Says it once when the collector goes away, and once when it is back."""
        if is_away and not self._is_away:
            log.error("spans cannot be exported; the oldest are dropped while this lasts")
        elif self._is_away and not is_away:
            log.warning("spans are exported again", extra={"dropped": self.dropped})
        self._is_away = is_away


def open_tracer(environment: Mapping[str, str], instance: str, *, keeps_failures: bool) -> Tracer | None:
    """None where spans go nowhere. `instance` tells this worker from all others."""
    send = sender(environment)
    if send is None:
        return None
    about = resource(environment, instance)
    batching, limits = _batching(environment), _limits(environment)
    return Tracer(send, about, batching=batching, limits=limits, keeps_failures=keeps_failures)


def _batching(environment: Mapping[str, str]) -> Batching:
    usual = Batching()
    delay = _number(environment, "OTEL_BSP_SCHEDULE_DELAY")
    return Batching(
        queue=_number(environment, "OTEL_BSP_MAX_QUEUE_SIZE") or usual.queue,
        batch=_number(environment, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE") or usual.batch,
        delay=usual.delay if delay is None else max(0.001, delay / 1000),
    )


def _limits(environment: Mapping[str, str]) -> SpanLimits:
    names = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    counts = [count for name in names if (count := _number(environment, name)) is not None]
    names = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
    lengths = [length for name in names if (length := _number(environment, name)) is not None]
    return SpanLimits(counts[0] if counts else SpanLimits().attributes, lengths[0] if lengths else None)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    """None when it is not set, or is no number: the usual value is taken then, and the log says so."""
    text = environment.get(name, "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    log.warning("this variable is no number and is not used", extra={"variable": name})
    return None
