from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from gateway.core.clock import Clock
from gateway.trace.metrics import instruments as of
from gateway.trace.metrics.metrics import Metrics
from gateway.trace.metrics.names import Known
from gateway.trace.metrics.observe import Observer
from gateway.trace.metrics.push import CLOSING, Push, open_push
from gateway.trace.metrics.pushing import interval, preference
from gateway.trace.metrics.series import counter
from gateway.trace.resource import resource
from tests.otlp import Collector, attributes, grpc_collector, http_collector, metrics_of, points
from tests.trace.metrics.rows import a_row

RARE = {"llmgw.cache.saved", "llmgw.dropped.fields"}
"""What a usual call has nothing of."""
KNOWN = Known(frozenset({"gpt-4o"}), frozenset({"openai/gpt-4o"}))
COLLECTORS = {"http/protobuf": http_collector, "grpc": grpc_collector}
EACH_PROTOCOL = pytest.mark.parametrize("protocol", COLLECTORS)


class Sender:
    """A worker that pushes as these variables say."""

    def __init__(self, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        self.environment = environment
        self.observer = Observer(lambda: KNOWN, lambda: KNOWN)
        self.metrics = Metrics(self.observer, None, Clock())
        self.push: Push | None = None

    @asynccontextmanager
    async def pushing(self) -> AsyncIterator[Push]:
        """Leaving the block pushes once more."""
        push = self.push = await open_push(self.environment, "host:7", self.metrics.gathered, Clock())
        assert push is not None
        task = asyncio.get_running_loop().create_task(push.run())
        try:
            yield push
        finally:
            task.cancel()
            await push.close()


Sends = Callable[..., Sender]


@pytest.fixture
def sends(monkeypatch: pytest.MonkeyPatch) -> Sends:
    def sends(collector: Collector, **variables: str) -> Sender:
        fast = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
        return Sender(fast | variables, monkeypatch)

    return sends


@EACH_PROTOCOL
async def test_metrics_arrive_with_their_names_units_and_who_sent_them(protocol: str, sends: Sends) -> None:
    async with COLLECTORS[protocol]() as collector:
        variables = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20b"}
        sender = sends(collector, **variables, OTEL_RESOURCE_ATTRIBUTES="deployment.environment=prod,team=a%2Cb")
        sender.observer.observe(a_row(stream=True))
        async with sender.pushing():
            await collector.until(lambda: bool(collector.metrics))

        (sent,) = collector.metrics[-1].resource_metrics
        who = attributes(sent.resource.attributes)
        assert {"service.name": "llmgw", "service.instance.id": "host:7", "team": "a,b"}.items() <= who.items()
        assert who["deployment.environment"] == "prod"
        assert "service.version" in who
        assert collector.headers[-1]["x-tenant"] == "a b"
        found = collector.latest()
        assert {each.name: each.unit for each in found.values()} == {
            each.otlp: each.unit for each in of.INSTRUMENTS.values() if not each.is_asked and each.otlp not in RARE
        }


async def test_a_call_is_pushed_as_it_is_scraped(sends: Sends) -> None:
    async with http_collector() as collector:
        sender = sends(collector)
        sender.observer.observe(a_row())
        async with sender.pushing():
            await collector.until(lambda: bool(collector.metrics))
        found = collector.latest()

    ((labels, point),) = points(found["gen_ai.server.request.duration"])
    assert labels == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    assert (point.count, point.sum, list(point.explicit_bounds)) == (1, 0.32, list(of.SERVER_DURATION.buckets))
    assert point.bucket_counts[5] == 1
    assert not point.HasField("min")
    assert [each.trace_id.hex() for each in point.exemplars] == [a_row()["trace_id"]]
    assert [each.span_id.hex() for each in point.exemplars] == [a_row()["span_id"]]
    ((http, _),) = points(found["http.server.request.duration"])
    assert http["http.response.status_code"] == 200
    ((_, cost),) = points(found["llmgw.cost"])
    assert cost.as_double == 0.0025
    assert found["llmgw.calls"].sum.is_monotonic
    assert found["llmgw.calls"].sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


async def test_deltas_are_from_what_was_delivered_and_lose_nothing_while_the_collector_is_away(sends: Sends) -> None:
    async with http_collector() as collector:
        sender = sends(collector, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta")
        sender.observer.observe(a_row())
        async with sender.pushing() as push:
            await collector.until(lambda: bool(collector.metrics))
            collector.status = 400
            sender.observer.observe(a_row())
            await collector.until(lambda: push.dropped > 0)
            sender.observer.observe(a_row())
            collector.status = 200
            sent = len(collector.metrics)
            await collector.until(lambda: len(collector.metrics) > sent + 1)
            sender.observer.observe(a_row())

    pushed = [found for each in collector.metrics if (found := metrics_of(each).get("llmgw.calls")) is not None]
    assert {each.sum.aggregation_temporality for each in pushed} == {
        AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    }
    deltas = [point for each in pushed for _, point in points(each)]
    assert [each.as_int for each in deltas] == [1, 2, 1], "nothing is told while nothing happens"
    for one, two in itertools.pairwise(deltas):
        assert one.time_unix_nano <= two.start_time_unix_nano < two.time_unix_nano


def _calls(metrics: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(labels["outcome"], point.as_int) for labels, point in points(metrics["llmgw.calls"])]


async def test_a_collector_that_is_away_is_told_once_and_again_when_it_is_back(
    sends: Sends, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_collector() as collector:
        collector.status = 400
        sender = sends(collector)
        sender.observer.observe(a_row())
        async with sender.pushing() as push:
            await collector.until(lambda: collector.refused >= 3)
            assert push.dropped > 0
            collector.status = 200
            await collector.until(lambda: bool(collector.metrics))

    assert [each.message for each in caplog.records] == ["metrics cannot be exported", "metrics are exported again"]


@EACH_PROTOCOL
async def test_a_collector_that_nobody_runs_costs_no_more_than_two_seconds_at_the_end(
    protocol: str, sends: Sends, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sender = sends(Collector(url="http://127.0.0.1:9"), OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    sender.observer.observe(a_row())
    async with sender.pushing() as push:
        while not push.dropped:
            await asyncio.sleep(0.01)  # the one that waits is replaced while the first is still tried
        began = time.monotonic()

    assert time.monotonic() - began < CLOSING + 0.5
    assert {each.name for each in caplog.records} <= {"llmgw.trace"}
    assert len(caplog.records) <= 2


async def test_a_slow_collector_gets_no_second_push_at_the_same_time(sends: Sends) -> None:
    async with http_collector() as collector:
        collector.delay = 0.3
        sender = sends(collector, OTEL_METRIC_EXPORT_INTERVAL="10")
        sender.observer.observe(a_row())
        async with sender.pushing() as push:
            await collector.until(lambda: len(collector.metrics) == 2)
            assert push.dropped > 0
        assert len(collector.headers) <= 5


async def test_closing_pushes_what_is_left(sends: Sends) -> None:
    async with http_collector() as collector:
        sender = sends(collector, OTEL_METRIC_EXPORT_INTERVAL="3600000")
        async with sender.pushing():
            sender.observer.observe(a_row())

        assert dict(_calls(collector.latest())) == {"upstream": 1}


async def test_compression_and_the_metrics_own_endpoint_are_honoured(sends: Sends) -> None:
    async with http_collector() as collector, http_collector() as other:
        own = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{other.url}/v1/metrics"}
        sender = sends(collector, **own, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
        sender.observer.observe(a_row())
        async with sender.pushing():
            await other.until(lambda: bool(other.metrics))

        assert not collector.metrics
        assert other.headers[0]["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"},
    ],
)
async def test_variables_that_make_no_sense_do_not_keep_metrics_from_being_pushed(
    variables: dict[str, str], sends: Sends
) -> None:
    async with http_collector() as collector:
        sender = sends(collector, **variables)
        sender.observer.observe(a_row())
        async with sender.pushing():
            await collector.until(lambda: bool(collector.metrics))


async def test_a_redirection_is_no_delivery(sends: Sends, caplog: pytest.LogCaptureFixture) -> None:
    async with http_collector() as collector:
        collector.status = 302
        sender = sends(collector)
        sender.observer.observe(a_row())
        async with sender.pushing() as push:
            await collector.until(lambda: push.dropped > 0)

    first, last = caplog.records
    assert (first.message, first.__dict__["reason"]) == ("metrics cannot be exported", "it answered 302")
    assert last.message == "the last metrics could not be pushed"


async def test_data_points_that_are_rejected_are_counted_and_told_once(
    sends: Sends, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_collector() as collector:
        collector.rejects = 3
        sender = sends(collector)
        sender.observer.observe(a_row())
        async with sender.pushing() as push:
            await collector.until(lambda: push.dropped >= 6)

    (told,) = caplog.records
    assert (told.__dict__["rejected"], told.__dict__["collector_says"]) == (3, "no room")


async def test_a_collector_that_refuses_is_asked_less_and_less_often(sends: Sends) -> None:
    async with http_collector() as collector:
        collector.status = 503
        sender = sends(collector, OTEL_METRIC_EXPORT_INTERVAL="20")
        sender.observer.observe(a_row())
        async with sender.pushing():
            await collector.until(lambda: collector.refused == 6)
            pauses = [came - answered for answered, came in zip(collector.answered, collector.came[1:], strict=False)]

    for number, pause in enumerate(pauses):
        assert pause >= 0.8 * 0.02 * 2**number


async def test_figures_that_cannot_be_encoded_are_told_once_and_later_ones_are_pushed(
    sends: Sends, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_collector() as collector:
        sender = sends(collector)
        broken = counter(sender.observer.totals, of.CALLS, ("upstream", "gpt-4o", "acme", "search"))
        broken.value = 2**63  # more than OTLP has
        async with sender.pushing() as push:
            await collector.until(lambda: push.dropped >= 3)
            broken.value = 1
            await collector.until(lambda: bool(collector.metrics))

    assert [each.message for each in caplog.records] == ["metrics cannot be exported", "metrics are exported again"]


async def test_a_push_that_failed_is_made_up_for_before_the_next_one_is_due(sends: Sends) -> None:
    async with http_collector() as collector:
        collector.status = 503
        sender = sends(collector, OTEL_METRIC_EXPORT_INTERVAL="3600000")
        sender.observer.observe(a_row())
        async with sender.pushing() as push:
            await push._offer()
            await collector.until(lambda: collector.refused == 1)
            collector.status = 200
            await collector.until(lambda: len(collector.metrics) == 1)


@pytest.mark.parametrize(("text", "seconds"), [("", 60), ("5000", 5), ("0", 60), ("soon", 60), ("-1", 60)])
def test_the_interval_is_in_milliseconds(text: str, seconds: float) -> None:
    assert interval({"OTEL_METRIC_EXPORT_INTERVAL": text}) == seconds


@pytest.mark.parametrize(
    ("text", "chosen"), [("", "cumulative"), ("Delta", "delta"), ("LOWMEMORY", "lowmemory"), ("x", "cumulative")]
)
def test_the_temporality_is_the_one_that_is_preferred(text: str, chosen: str) -> None:
    assert preference({"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": text}) == chosen


def test_workers_that_were_given_one_name_are_still_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    given = {
        "OTEL_SERVICE_NAME": "edge",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=x,service.instance.id=pod-1,nonsense",
    }

    found = [resource(given, instance).attributes for instance in ("host:7", "host:8")]

    assert [each["service.instance.id"] for each in found] == ["pod-1:host:7", "pod-1:host:8"]
    assert {each["service.name"] for each in found} == {"edge"}
    assert [each.__dict__["place"] for each in caplog.records] == [3, 3]
