"""Sums and percentiles are those of the calls, whatever they are grouped by."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.trace.reading.statistics import default_step
from gateway.trace.sqlite import rollup
from gateway.trace.sqlite.histogram import bucket, middle
from tests.trace.stored import NOON, File, line


def test_figures_add_up(file: File) -> None:
    file.writer.write(
        [
            line("a", stream=True, output_tokens=90, duration_ms=1000.0, first_byte_ms=100.0),
            line("b", status=503, cached_tokens=4, saved_nano_usd=7, cache="semantic-hit", at=NOON + 61),
            line("c", status=429, cost_nano_usd=None, input_tokens=None, output_tokens=None, first_byte_ms=None),
        ]
    )

    (group,) = file.statistics(step="60")

    total = group["total"]
    assert {name: total[name] for name in ("calls", "errors", "refused", "cache_hits")} == {
        "calls": 3,
        "errors": 1,
        "refused": 1,
        "cache_hits": 1,
    }
    assert (total["input_tokens"], total["output_tokens"], total["cached_tokens"]) == (20, 95, 4)
    assert (total["cost_nano_usd"], total["saved_nano_usd"], total["tokens_per_second"]) == (2000, 7, 100.0)
    assert [point["calls"] for point in group["points"]] == [2, 1, *[0] * 58]
    assert [point["at"] for point in group["points"][:2]] == [NOON, NOON + 60]
    assert group["points"][5]["p50_ms"] is None


def test_what_came_of_trials_counts_nowhere(file: File) -> None:
    file.writer.write([line("a"), line("trial_a_01", outcome="trial", operation="trial", duration_ms=0.01, org=None)])

    assert file.totals("calls", step="60") == {(): 1}
    assert file.totals("calls", by="outcome", step="60") == {("upstream",): 1}


@pytest.mark.parametrize("step", ["60", "300", "3600"])
def test_groups_are_told_apart_and_filtered_at_every_step(file: File, step: str) -> None:
    file.writer.write(
        [
            line("1", model="cheap", cost_nano_usd=1),
            line("2", model="strong", cost_nano_usd=5, at=NOON + 1000),
            line("3", model="strong", org="umbrella", team=None, tenant="umbrella", cost_nano_usd=7),
        ]
    )

    assert list(file.totals("cost_nano_usd", by="model", step=step).items()) == [(("strong",), 12), (("cheap",), 1)]
    assert file.totals("calls", by="org,team", step=step) == {("acme", "search"): 2, ("umbrella", None): 1}
    assert file.totals("calls", tenant="umbrella", step=step) == {(): 1}
    assert file.totals("calls", model="unheard of", step=step) == {(): 0}
    assert file.totals("calls", by="model", limit="1", step=step) == {("strong",): 2}


def test_a_call_counts_for_each_of_its_tags(file: File) -> None:
    file.writer.write([line("1", tags=["a", "b"]), line("2", tags=["a"]), line("3")])

    assert file.totals("calls", by="tag") == {("a",): 2, ("b",): 1}
    assert file.totals("calls", tag="b", by="org") == {("acme",): 1}
    assert file.totals("calls") == {(): 3}


def test_percentiles_are_within_a_bucket_of_the_truth(file: File) -> None:
    chance = random.Random(3)
    durations = [chance.lognormvariate(6, 1.5) for _ in range(2000)]
    file.writer.write([line(str(number), duration_ms=ms, first_byte_ms=ms / 2) for number, ms in enumerate(durations)])

    (group,) = file.statistics()

    durations.sort()
    assert group["total"]["p50_ms"] == pytest.approx(durations[1000], rel=0.1)
    assert group["total"]["p95_ms"] == pytest.approx(durations[1900], rel=0.1)
    assert group["total"]["first_byte_p50_ms"] == pytest.approx(durations[1000] / 2, rel=0.1)


@pytest.mark.parametrize("ms", [0.05, 0.1, 0.11, 1.0, 123.4, 59_999.9, 3_600_000.0])
def test_a_bucket_is_a_tenth_wide(ms: float) -> None:
    assert middle(bucket(ms)) == pytest.approx(max(ms, 0.1), rel=0.06)


def test_strangers_cannot_fill_the_disk_with_names(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rollup.MOST, rollup.MINUTES, 10)
    monkeypatch.setitem(rollup.MOST, rollup.TAG_MINUTES, 10)
    for part in range(10):
        each = [line(f"{part}-{n}", model=f"model-{part}-{n}", tags=[f"tag-{part}-{n}"]) for n in range(10)]
        file.writer.write(each)
        file.statistics()

    by_model = file.totals("calls", by="model", step="60", limit="100")
    assert len(by_model) == 11
    assert by_model["_other",] == 90
    assert len(file.totals("calls", by="tag", step="60", limit="100")) == 11
    assert file.totals("calls", provider="openai", step="60") == {(): 100}


def test_a_model_that_a_refused_caller_made_up_is_no_group(file: File) -> None:
    file.writer.write([line("1", model="made up", outcome="rejected_policy", status=404), line("2")])

    assert file.totals("calls", by="model") == {("_other",): 1, ("gpt-4o",): 1}


def test_attempts_are_counted_by_deployment(file: File) -> None:
    def attempt(deployment: str, error: str | None, ms: float) -> dict[str, Any]:
        return {"deployment": deployment, "provider": "p", "error": error, "duration_ms": ms, "first_byte_ms": None}

    tried = [attempt("p/first", "upstream_500", 10.0), attempt("p/second", None, 1000.0)]
    file.writer.write(
        [line("1", attempts=tried), line("2", attempts=tried[1:]), line("old", at=NOON - 7200, attempts=tried)]
    )

    found = file.reader.attempts(since=NOON - 3600, until=NOON + 1)

    assert found["p/first"]["error_codes"] == {"upstream_500": 1}
    assert (found["p/first"]["attempts"], found["p/first"]["errors"]) == (1, 1)
    assert (found["p/second"]["attempts"], found["p/second"]["errors"], found["p/second"]["error_codes"]) == (2, 0, {})
    assert found["p/second"]["p95_ms"] == pytest.approx(1000, rel=0.06)


def test_what_the_caller_or_the_gateway_ended_is_no_error_of_the_deployment(file: File) -> None:
    def attempt(error: str | None, fault: str | None) -> dict[str, Any]:
        return {"deployment": "p/m", "provider": "p", "error": error, "fault": fault, "duration_ms": 1.0}

    ends: list[tuple[str | None, str | None]] = [
        ("client_disconnected", "caller"),
        ("upstream_400", "caller"),
        ("shutting_down", "gateway"),
    ]
    ends += [("upstream_timeout", "upstream"), ("upstream_timeout", "caller"), (None, None)]
    file.writer.write([line(str(number), attempts=[attempt(*end)]) for number, end in enumerate(ends)])

    found = file.reader.attempts(since=NOON - 3600, until=NOON + 1)["p/m"]

    assert (found["attempts"], found["errors"], found["error_codes"]) == (6, 1, {"upstream_timeout": 1})
    assert found["other_codes"] == {
        "client_disconnected": 1,
        "upstream_400": 1,
        "shutting_down": 1,
        "upstream_timeout": 1,
    }


def test_what_goes_wrong_most_comes_first_with_an_example(file: File) -> None:
    reset = {"error_code": "upstream_reset", "outcome": "upstream_error", "status": 502}
    file.writer.write(
        [
            line("1", **reset, error="The first one."),
            line("2", **reset, error="The last one.", at=NOON + 5),
            line("3", error_code="not_found", outcome="rejected_policy", provider=None, error="No such model."),
            line("4"),
        ]
    )

    first, second = file.reader.errors(since=0, until=NOON + 100)

    assert first == {
        "error_code": "upstream_reset",
        "provider": "openai",
        "outcome": "upstream_error",
        "count": 2,
        "first_at": NOON,
        "last_at": NOON + 5,
        "sample_id": "2",
        "message": "The last one.",
    }
    assert (second["error_code"], second["provider"], second["count"]) == ("not_found", None, 1)
    assert [each["count"] for each in file.reader.errors(since=NOON + 1, until=NOON + 100)] == [1]


@pytest.mark.parametrize(("hours", "step"), [(1, 60), (6, 600), (24, 1800), (168, 10_800), (2160, 604_800)])
def test_a_step_makes_about_sixty_points(hours: int, step: int) -> None:
    assert default_step(hours * 3600) == step
