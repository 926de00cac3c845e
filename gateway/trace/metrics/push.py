"""Pushes metrics to a collector from a thread of its own, so that one that is slow or away holds nobody up."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core.clock import Clock
from gateway.trace.collector.answer import Answer
from gateway.trace.collector.destination import Signal
from gateway.trace.collector.open import Sender, open_collector
from gateway.trace.collector.standing import PAUSE, Standing
from gateway.trace.metrics.pushing import interval, preference
from gateway.trace.metrics.series import Reading, Totals, decoded, take
from gateway.trace.resource import resource

if TYPE_CHECKING:
    from gateway.trace.metrics.otlp import Report

CLOSING = 2.0
"""Seconds that closing waits for the last push."""

log = logging.getLogger("llmgw.trace")


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is to be pushed: encoded totals, readings besides, and when they were taken (UTC seconds)."""

    totals: bytes
    readings: Sequence[Reading]
    at: float


class Push:
    """Start `run` as a task, and `close` after it was cancelled. `gather` is asked once for each push.

    `dropped` counts data points that did not arrive. Cumulative figures arrive with the next push all the same, and so do
    deltas, which are taken from the last push that was delivered.
    """

    def __init__(
        self,
        collector: Sender,
        report: Report,
        gather: Callable[[], Awaitable[Gathered]],
        *,
        interval: float,
    ) -> None:
        """`interval` in seconds."""
        self.dropped = 0
        self._collector = collector
        self._report = report
        self._gather = gather
        self._interval = interval
        self._standing = Standing(Signal.METRICS, first_pause=min(PAUSE, interval))
        self._pause = 0.0
        self._failed = asyncio.Event()
        self._size = 0
        self._waiting: queue.Queue[Gathered | None] = queue.Queue(maxsize=1)
        self._loop = asyncio.get_running_loop()
        self._finished = asyncio.Event()
        threading.Thread(target=self._work, name="llmgw-metrics", daemon=True).start()

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._failed.wait()
            if self._failed.is_set():
                self._failed.clear()
                await asyncio.sleep(self._pause)
            await self._offer()

    async def close(self) -> None:
        """Pushes once more, and waits two seconds at most."""
        try:
            async with asyncio.timeout(CLOSING):
                await self._offer()
                while self._waiting.full():  # noqa: ASYNC110 (a queue of threads has no event)
                    await asyncio.sleep(0.01)
                self._waiting.put_nowait(None)
                await self._finished.wait()
            is_lost = self._standing.is_away
        except TimeoutError:
            self.dropped += self._size
            is_lost = True
        if is_lost:
            log.error("the last metrics could not be pushed", extra={"dropped": self._size})
        self._collector.close()

    async def _offer(self) -> None:
        try:
            self._waiting.put_nowait(await self._gather())
        except queue.Full:
            self.dropped += self._size

    def _work(self) -> None:
        while (gathered := self._waiting.get()) is not None:
            self._push(gathered)
        with suppress(RuntimeError):  # closing has not waited for this
            self._loop.call_soon_threadsafe(self._finished.set)

    def _push(self, gathered: Gathered) -> None:
        totals = decoded(gathered.totals)
        take(totals, gathered.readings)
        self._size = _size(totals)
        answer = self._send(totals, gathered.at)
        if answer.failure is None:
            self._report.delivered(totals, gathered.at)
            self.dropped += min(answer.rejected, self._size)
        else:
            self.dropped += self._size
        self._pause = self._standing.heard(answer, dropped=self.dropped)
        if answer.failure is not None:
            with suppress(RuntimeError):  # closing has not waited for this
                self._loop.call_soon_threadsafe(self._failed.set)

    def _send(self, totals: Totals, at: float) -> Answer:
        try:
            request = self._report.encoded(totals, at)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            return Answer(failure=f"a bug keeps them from being encoded: {error}"[:256], is_final=True)
        return self._collector.send(request)


async def open_push(
    environment: Mapping[str, str], instance: str, gather: Callable[[], Awaitable[Gathered]], clock: Clock
) -> Push | None:
    """None where no push is wanted, or none is possible. `instance` tells this worker from all others."""
    prepared = await asyncio.to_thread(_prepare, environment, instance, clock.now())
    return None if prepared is None else Push(*prepared, gather, interval=interval(environment))


def _prepare(environment: Mapping[str, str], instance: str, started: float) -> tuple[Sender, Report] | None:
    if (chosen := open_collector(environment, Signal.METRICS)) is None:
        return None
    with _hidden("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"):
        from gateway.trace.metrics.otlp import Report  # noqa: PLC0415 (imports the SDK, which is slow)

    return chosen, Report(resource(environment, instance), preference=preference(environment), started=started)


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """The SDK reads this variable when it is imported, and fails at what is no number."""
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value


def _size(totals: Totals) -> int:
    """Data points of these totals."""
    kinds = totals.counters, totals.histograms, totals.gauges
    return sum(len(series) for kind in kinds for series in kind.values())
