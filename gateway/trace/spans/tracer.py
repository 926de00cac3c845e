"""From records to exported spans: encoded where records are taken off their queue, and sent by a thread of their own.

What waits is bounded, in spans and in bytes; a collector that is away for an hour costs the oldest spans and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource

from gateway.trace.collector.destination import Signal
from gateway.trace.collector.open import Sender, open_collector
from gateway.trace.collector.standing import Standing
from gateway.trace.collector.variables import whole
from gateway.trace.resource import our_version, resource
from gateway.trace.spans.limits import SpanLimits, limits_of
from gateway.trace.spans.otlp import SCOPE, UPSTREAM_SCOPE, Encoder, request, scoped
from gateway.trace.spans.server import is_failure
from gateway.trace.spans.tell import trace_of

log = logging.getLogger("llmgw.trace")

SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
QUEUE_BYTES = 64 * 1024 * 1024
BYTES = 4_000_000
"""Bytes of spans in one request, but for a trace that alone has more: a gRPC server takes 4 MiB by default."""
TRIES = 20
"""How often a request is sent that fails and might not fail again: for some three minutes. It must not hold up all others."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batching:
    """OTEL_BSP_*: spans that wait at most, spans in one request, and seconds until a request is sent that is not full."""

    queue: int = 20_480
    batch: int = 512
    delay: float = 5.0


class Waiting(NamedTuple):
    """The encoded spans of one trace: ours, and those of attempts."""

    spans: int
    ours: bytes
    attempts: bytes

    @property
    def size(self) -> int:
        return len(self.ours) + len(self.attempts)


class Tracer:
    """`see` is called for each record's row, by one thread. `keeps_failures`: they are exported whether sampled or not."""

    def __init__(
        self,
        send: Sender,
        about: Resource,
        *,
        batching: Batching,
        limits: SpanLimits,
        standing: Standing,
        keeps_failures: bool = True,
    ) -> None:
        self.dropped = 0
        self.sent = 0
        self._send = send
        self._batching = batching
        self._encoder = Encoder(limits)
        self._about = Encoder(SpanLimits()).resource(about.attributes)
        self._keeps_failures = keeps_failures
        self._version = our_version()
        self._standing = standing
        self._queue: deque[Waiting] = deque()
        self._spans = 0
        self._bytes = 0
        self._sending = 0
        self._tries = 0
        self._closing = threading.Event()
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
            self._queue.append(Waiting(len(trace.spans), ours, attempts))
            self._spans += len(trace.spans)
            self._bytes += len(ours) + len(attempts)
            self._shorten()
            if self._spans >= self._batching.batch:
                self._changed.notify()

    def close(self, seconds: float) -> None:
        """Sends what is left, within that time and unless a request fails; the rest is dropped. Blocks."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            lost, self._spans, self._sending = self._spans + self._sending, 0, 0
            self._queue.clear()
            self.dropped += lost
        if lost:
            log.error("the last spans could not be sent", extra={"dropped": lost})

    def _work(self) -> None:
        while not self._closing.is_set():
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing.is_set() or self._spans >= self._batching.batch, self._batching.delay
                )
            while not self._closing.is_set() and (batch := self._take()):
                self._closing.wait(self._deliver(batch))
        while (batch := self._take()) and not self._deliver(batch):
            pass
        self._send.close()

    def _take(self) -> list[Waiting]:
        """The oldest that fit into one request."""
        batch: list[Waiting] = []
        with self._changed:
            size = 0
            while self._queue and self._sending < self._batching.batch:
                size += self._queue[0].size
                if batch and size > BYTES:
                    break
                batch.append(self._pop())
                self._sending += batch[-1].spans
        return batch

    def _deliver(self, batch: Sequence[Waiting]) -> float:
        """Seconds to leave the collector alone."""
        scopes = [scoped(SCOPE, self._version, SCHEMA, [each.ours for each in batch])]
        if any(each.attempts for each in batch):
            scopes.append(scoped(UPSTREAM_SCOPE, self._version, SCHEMA, [each.attempts for each in batch]))
        answer = self._send.send(request(self._about, scopes))
        with self._changed:
            spans, self._sending = self._sending, 0
            self._tries += 1
            rejected = min(spans, answer.rejected) if answer.failure is None else spans
            if answer.failure is not None and not answer.is_final and self._tries < TRIES:
                self._put_back(batch)
            else:
                self._tries = 0
                self.sent += spans - rejected
                self.dropped += rejected
        return self._standing.heard(answer, dropped=self.dropped)

    def _put_back(self, batch: Sequence[Waiting]) -> None:
        """They are the oldest, and so the first to be dropped."""
        self._queue.extendleft(reversed(batch))
        self._spans += sum(each.spans for each in batch)
        self._bytes += sum(each.size for each in batch)
        self._shorten()

    def _shorten(self) -> None:
        while self._spans > self._batching.queue or self._bytes > QUEUE_BYTES:
            self.dropped += self._pop().spans

    def _pop(self) -> Waiting:
        oldest = self._queue.popleft()
        self._spans -= oldest.spans
        self._bytes -= oldest.size
        return oldest


def open_tracer(environment: Mapping[str, str], instance: str, *, keeps_failures: bool) -> Tracer | None:
    """None where spans go nowhere. `instance` tells this worker from all others."""
    send = open_collector(environment, Signal.TRACES)
    if send is None:
        return None
    return Tracer(
        send,
        resource(environment, instance),
        batching=_batching(environment),
        limits=limits_of(environment),
        standing=Standing(Signal.TRACES),
        keeps_failures=keeps_failures,
    )


def _batching(environment: Mapping[str, str]) -> Batching:
    usual = Batching()
    delay = whole(environment, ("OTEL_BSP_SCHEDULE_DELAY",), round(usual.delay * 1000))
    return Batching(
        queue=whole(environment, ("OTEL_BSP_MAX_QUEUE_SIZE",), usual.queue, least=1) or usual.queue,
        batch=whole(environment, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE",), usual.batch, least=1) or usual.batch,
        delay=max(0.001, (delay or 0) / 1000),
    )
