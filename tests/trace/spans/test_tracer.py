"""From rows to a collector: what waits is bounded, what is lost is counted, and nobody ever waits."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from gateway.trace.collector.answer import Answer
from gateway.trace.collector.destination import Signal
from gateway.trace.collector.open import Sender, open_collector
from gateway.trace.collector.standing import Standing
from gateway.trace.spans import tracer as module
from gateway.trace.spans.limits import SpanLimits
from gateway.trace.spans.tracer import Batching, Tracer, open_tracer
from tests.ports import free_port
from tests.trace.receiver import receiving
from tests.trace.rows import refused, row

SPANS = 6
"""Of one row."""


class Gate:
    """A collector that is there, or refuses all, or is silent, as it is told; `answer` goes before."""

    def __init__(self, *, is_there: bool = True) -> None:
        self.is_there = is_there
        self.answer: Answer | None = None
        self.bodies: list[bytes] = []
        self.requests = 0
        self.asked = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.is_closed = False

    def send(self, request: bytes) -> Answer:
        self.asked.set()
        self.open.wait()
        self.bodies.append(request)
        self.requests += 1
        if self.answer is not None:
            return self.answer
        return Answer() if self.is_there else Answer(failure="it answered 400", is_final=True)

    def close(self) -> None:
        self.is_closed = True


Starts = Callable[..., Tracer]


@pytest.fixture
def start() -> Iterator[Starts]:
    begun: list[tuple[Tracer, Sender]] = []

    def start(
        send: Sender,
        *,
        queue: int = 1000,
        batch: int = 12,
        delay: float = 60.0,
        failures: bool = True,
        pause: float = 0.001,
    ) -> Tracer:
        tracer = Tracer(
            send,
            Resource({}),
            batching=Batching(queue, batch, delay),
            limits=SpanLimits(),
            standing=Standing(Signal.TRACES, first_pause=pause),
            keeps_failures=failures,
        )
        begun.append((tracer, send))
        return tracer

    yield start
    for tracer, send in begun:
        if isinstance(send, Gate):
            send.open.set()
        tracer.close(5)
        assert not tracer._thread.is_alive()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


async def test_spans_reach_a_collector_without_being_asked_for() -> None:
    async with receiving() as receiver:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "10",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.name=mine",
        }
        tracer = open_tracer(variables, "host:1", keeps_failures=True)
        assert tracer is not None

        tracer.see(row())

        await receiver.until(lambda receiver: len(receiver.spans) == SPANS)
        await asyncio.to_thread(tracer.close, 5)
        (resource,) = {tuple(sorted(span.resource.items())) for span in receiver.spans}
        told = dict(resource)
        assert told["service.name"] == "mine"
        assert told["service.instance.id"] == "host:1"
        assert told["deployment.environment.name"] == "test"
        assert {span.scope for span in receiver.spans} == {"llmgw", "llmgw.upstream"}
        assert (tracer.sent, tracer.dropped) == (SPANS, 0)


def test_a_full_batch_is_sent_before_its_time(start: Starts) -> None:
    gate = Gate()
    tracer = start(gate)

    tracer.see(row())
    tracer.see(row())

    until(lambda: tracer.sent == 2 * SPANS)
    assert gate.requests == 1


@pytest.mark.parametrize(("sampled", "status", "failures", "is_exported"), [
    (True, 200, True, True),
    (True, 429, False, True),
    (False, 200, True, False),
    (False, 429, True, False),
    (False, 502, True, True),
    (False, 502, False, False),
])  # fmt: skip
def test_what_is_exported(start: Starts, sampled: bool, status: int, failures: bool, is_exported: bool) -> None:
    tracer = start(Gate(), failures=failures)

    tracer.see(refused(status, "x", "code", "words", "route", sampled=sampled, stages=[]))
    tracer.close(5)

    assert (tracer.sent > 0) == is_exported
    assert tracer.dropped == 0


def test_what_waits_is_bounded_in_spans_and_the_oldest_are_dropped(start: Starts) -> None:
    gate = Gate()
    gate.open.clear()
    tracer = start(gate, queue=100)
    tracer.see(row())
    tracer.see(row())
    until(gate.asked.is_set)

    for _ in range(1000):
        tracer.see(row())

    assert tracer._spans <= 100
    assert tracer.dropped + tracer._spans == 1000 * SPANS
    gate.open.set()
    tracer.close(5)
    assert tracer.sent + tracer.dropped == 1002 * SPANS
    assert 96 + 2 * SPANS <= tracer.sent <= 100 + 2 * SPANS


def test_what_waits_is_bounded_in_bytes(start: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_BYTES", 1_000_000)
    gate = Gate()
    gate.open.clear()
    tracer = start(gate, queue=100_000)
    content = {"input": "x" * 10_000, "output": []}

    for _ in range(500):
        tracer.see(row(content=content, content_in_spans=True))
        assert tracer._bytes <= 1_000_000

    gate.open.set()
    tracer.close(5)
    assert tracer.sent + tracer.dropped == 500 * SPANS
    assert tracer.dropped > 300 * SPANS


def test_a_collector_that_goes_and_comes_back_is_told_once_each(
    start: Starts, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(is_there=False)
    tracer = start(gate, batch=SPANS)

    with caplog.at_level(logging.INFO, "llmgw.trace"):
        for count in range(1, 6):
            tracer.see(row())
            until(lambda count=count: gate.requests == count)  # type: ignore[misc]
        gate.is_there = True
        for count in range(6, 9):
            tracer.see(row())
            until(lambda count=count: gate.requests == count)  # type: ignore[misc]
        until(lambda: tracer.sent == 3 * SPANS)

    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert (tracer.sent, tracer.dropped) == (3 * SPANS, 5 * SPANS)
    assert caplog.records[1].__dict__["dropped"] == 5 * SPANS


def test_closing_sends_what_is_left(start: Starts) -> None:
    gate = Gate()
    tracer = start(gate)
    tracer.see(row())

    tracer.close(5)

    assert (tracer.sent, tracer.dropped, gate.is_closed) == (SPANS, 0, True)


def test_closing_takes_no_longer_than_it_may_and_counts_what_is_lost(start: Starts) -> None:
    gate = Gate()
    gate.open.clear()
    tracer = start(gate)
    for _ in range(10):
        tracer.see(row())
    until(gate.asked.is_set)
    began = time.monotonic()

    tracer.close(0.2)

    assert time.monotonic() - began < 2
    assert (tracer.sent, tracer.dropped) == (0, 10 * SPANS)


def test_closing_asks_an_absent_collector_once(start: Starts) -> None:
    gate = Gate(is_there=False)
    tracer = start(gate, batch=SPANS * 50)
    for _ in range(49):
        tracer.see(row())
    tracer._batching = Batching(1000, SPANS, 60.0)

    tracer.close(5)

    assert gate.requests == 1
    assert tracer.dropped == 49 * SPANS


def test_a_row_that_cannot_be_told_is_counted_and_hurts_nobody(start: Starts, caplog: pytest.LogCaptureFixture) -> None:
    tracer = start(Gate())

    odd: tuple[dict[str, Any], ...] = (
        {"at": None},
        {"attempts": [{}]},
        {"stages": [{"name": "unheard-of"}]},
        {"cost_nano_usd": 10**400},
    )
    for changes in odd:
        tracer.see(row(**changes))

    assert tracer.dropped == 4
    assert len(caplog.records) == 4


def test_memory_does_not_grow_while_the_collector_is_gone(start: Starts, caplog: pytest.LogCaptureFixture) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1000",
    }
    send = open_collector(variables, Signal.TRACES)
    assert send is not None
    tracer = start(send, queue=2000, batch=512, delay=0.01)

    def burst() -> int:
        for number in range(8000):
            tracer.see(row(id=f"req_{number}", response_id=f"chatcmpl-{number}"))
        return resident()

    burst()
    before = burst()
    after = max(burst() for _ in range(2))

    assert after - before < 8 * 1024 * 1024
    tracer.close(0.1)
    assert tracer.sent == 0
    assert tracer.dropped == 32_000 * SPANS
    assert [each.message for each in caplog.records][1:] == ["the last spans could not be sent"]
    tracer._thread.join(10)


def resident() -> int:
    """Bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


LIMITS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
)


@pytest.mark.parametrize(
    ("variables", "batching", "limits"),
    [
        ({}, Batching(), SpanLimits()),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "7", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "3", "OTEL_BSP_SCHEDULE_DELAY": "250"},
            Batching(7, 3, 0.25),
            SpanLimits(),
        ),
        ({"OTEL_BSP_SCHEDULE_DELAY": "0"}, Batching(delay=0.001), SpanLimits()),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "0", "OTEL_BSP_SCHEDULE_DELAY": "soon"}, Batching(), SpanLimits()),
        (
            {"OTEL_ATTRIBUTE_COUNT_LIMIT": "9", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "8"},
            Batching(),
            SpanLimits(8, event_attributes=9),
        ),
        (
            {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "100", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "50"},
            Batching(),
            SpanLimits(128, 50, event_length=100),
        ),
        (
            {
                "OTEL_SPAN_EVENT_COUNT_LIMIT": "0",
                "OTEL_SPAN_LINK_COUNT_LIMIT": "1",
                "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "2",
            },
            Batching(),
            SpanLimits(events=0, links=1, event_attributes=2),
        ),
        (dict.fromkeys(LIMITS, ""), Batching(), SpanLimits()),
        (dict.fromkeys(LIMITS, "-1"), Batching(), SpanLimits()),
        (dict.fromkeys(LIMITS, "1e3"), Batching(), SpanLimits()),
        (dict.fromkeys(LIMITS, "9" * 5000), Batching(), SpanLimits()),
    ],
)
def test_variables_set_batches_and_limits(variables: dict[str, str], batching: Batching, limits: SpanLimits) -> None:
    tracer = open_tracer({"OTEL_TRACES_EXPORTER": "otlp", **variables}, "host:1", keeps_failures=True)

    assert tracer is not None
    assert (tracer._batching, tracer._encoder._limits) == (batching, limits)
    tracer.close(5)


@pytest.mark.parametrize("text", ["-1", "1e3", "9" * 5000, "zwölf", "0.5"])
def test_of_every_number_that_makes_no_sense_the_name_and_what_is_taken_are_told(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = open_tracer({"OTEL_TRACES_EXPORTER": "otlp", **dict.fromkeys(LIMITS, text)}, "host:1", keeps_failures=True)

    assert tracer is not None
    tracer.close(5)
    assert {each.__dict__["variable"] for each in caplog.records} >= set(LIMITS) - {"OTEL_ATTRIBUTE_COUNT_LIMIT"}
    for each in caplog.records:
        assert "taken" in each.__dict__
        assert text not in f"{each.message}{each.__dict__['reason']}"


def test_a_request_that_might_succeed_later_is_sent_again_and_nothing_is_lost(start: Starts) -> None:
    gate = Gate()
    gate.answer = Answer(failure="it answered 503")
    tracer = start(gate, batch=SPANS)

    tracer.see(row())
    until(lambda: gate.requests >= 3)
    tracer.see(row())
    gate.answer = None

    until(lambda: tracer.sent == 2 * SPANS)
    assert tracer.dropped == 0
    assert len(set(gate.bodies[:3])) == 1


def test_a_request_that_never_succeeds_does_not_hold_up_the_others_for_ever(
    start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIES", 5)
    gate = Gate()
    gate.answer = Answer(failure="it answered 502")
    tracer = start(gate, batch=SPANS)

    tracer.see(row())
    tracer.see(row())

    until(lambda: tracer.dropped == SPANS)
    assert len(set(gate.bodies[: module.TRIES])) == 1
    gate.answer = None
    until(lambda: tracer.sent == SPANS)


def test_what_waits_to_be_sent_again_counts_among_what_waits_and_is_dropped_first(start: Starts) -> None:
    gate = Gate()
    gate.answer = Answer(failure="it answered 503")
    tracer = start(gate, batch=SPANS, queue=10 * SPANS, pause=30)
    tracer.see(row())
    until(lambda: gate.requests == 1 and tracer._spans == SPANS)

    for _ in range(100):
        tracer.see(row())

    assert (tracer._spans, tracer.dropped) == (10 * SPANS, 91 * SPANS)
    assert gate.requests == 1, "the collector is left alone"


def test_closing_does_not_wait_for_the_end_of_a_pause(start: Starts) -> None:
    gate = Gate()
    gate.answer = Answer(failure="it answered 503", retry_after=200)
    tracer = start(gate, batch=SPANS)
    tracer.see(row())
    until(lambda: gate.requests == 1)
    gate.answer = None

    tracer.close(5)

    assert (tracer.sent, tracer.dropped) == (SPANS, 0)


def test_what_is_rejected_of_a_request_is_dropped_and_counted(start: Starts, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    gate.answer = Answer(rejected=2, message="too old")
    tracer = start(gate, batch=SPANS)

    for count in range(1, 4):
        tracer.see(row())
        until(lambda count=count: gate.requests == count)  # type: ignore[misc]
    until(lambda: tracer.sent == 3 * (SPANS - 2))

    assert tracer.dropped == 6
    (told,) = caplog.records
    assert (told.__dict__["rejected"], told.__dict__["collector_says"]) == (2, "too old")


def test_a_request_is_no_larger_than_a_grpc_server_takes(start: Starts) -> None:
    gate = Gate()
    gate.open.clear()
    tracer = start(gate, queue=100_000, batch=512)
    for _ in range(60):
        tracer.see(row(content={"input": "x" * 200_000, "output": []}, content_in_spans=True))
    gate.open.set()

    tracer.close(10)

    assert tracer.dropped == 0
    assert max(map(len, gate.bodies)) < 4 * 1024 * 1024
    assert gate.requests < 6
