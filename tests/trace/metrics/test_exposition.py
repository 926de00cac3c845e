from __future__ import annotations

import pytest

from gateway.trace.metrics import instruments as of
from gateway.trace.metrics.exposition import exposition
from gateway.trace.metrics.names import Known
from gateway.trace.metrics.observe import Observer
from gateway.trace.metrics.series import Totals, take
from tests.promtool import complaints
from tests.trace.metrics.rows import a_row, refused
from tests.trace.metrics.scrape import OPEN_METRICS, exemplars, open_series, series

# What Prometheus 2 and 3 send.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def counted() -> Totals:
    """A call of every kind, and something asked of everybody."""
    observer = Observer(lambda: None, lambda: Known(frozenset({"gpt-4o"}), frozenset({"openai/gpt-4o"})))
    hit = [{"name": "cache", "kind": "exact", "result": "hit"}]
    for row in (a_row(), a_row(stream=True), a_row(stages=hit, saved_nano_usd=1), a_row(sampled=False), refused()):
        observer.observe(row)
    asked = [each for each in of.INSTRUMENTS.values() if each.is_asked]
    take(observer.totals, [(each, tuple(f"a {label}" for label in each.labels), 1) for each in asked])
    return observer.totals


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "text/html,*/*"])
def test_a_scraper_that_asks_for_nothing_gets_prometheus_text(accept: str) -> None:
    text, content_type = exposition(counted(), accept)

    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"# EOF" not in text
    assert series(text.decode())["llmgw_calls_active"] == 1


@pytest.mark.parametrize("accept", [OPEN_METRICS, PROMETHEUS_2, PROMETHEUS_3])
def test_a_scraper_that_takes_open_metrics_gets_it_with_the_traces_of_slow_and_fast_calls(accept: str) -> None:
    text, content_type = exposition(counted(), accept)

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    found = exemplars(text.decode())
    assert set(found.values()) == {a_row()["trace_id"]}
    assert {name.partition("_bucket")[0] for name in found} == {
        each.name for each in of.INSTRUMENTS.values() if each.has_exemplars
    }


def test_both_formats_say_the_same() -> None:
    totals = counted()

    plain, _ = exposition(totals, "")
    openly, _ = exposition(totals, OPEN_METRICS)

    assert series(plain.decode()) == open_series(openly.decode())


def test_a_call_whose_trace_is_not_exported_is_no_example() -> None:
    observer = Observer(lambda: None, Known)
    observer.observe(a_row(sampled=False))

    text, _ = exposition(observer.totals, OPEN_METRICS)

    assert not exemplars(text.decode())


def test_promtool_finds_nothing_to_say() -> None:
    text, _ = exposition(counted(), "")

    assert complaints(text) == ""
