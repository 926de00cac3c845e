from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from gateway.trace.metrics.instruments import INSTRUMENTS
from gateway.trace.metrics.names import LEARNED, OTHER, Known
from gateway.trace.metrics.observe import Observer
from gateway.trace.metrics.series import CEILING, OVERFLOW
from gateway.trace.providers import provider_name
from tests.trace.metrics.rows import Row, a_row, a_try, refused
from tests.trace.metrics.scrape import shown

POLICY = Known(frozenset({"gpt-4o", "auto"}), frozenset({"openai/gpt-4o", "azure/gpt-4o"}))
GPT = 'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"'
UPSTREAM = 'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o-2024"'
ACME = 'model="gpt-4o",org="acme"'


def observer() -> Observer:
    return Observer(lambda: POLICY, lambda: POLICY)


def after(*rows: Row) -> dict[str, float]:
    """What a scraper reads once these calls have ended, without the buckets."""
    counting = observer()
    for row in rows:
        counting.observe(row)
    return {name: value for name, value in shown(counting.totals).items() if "_bucket" not in name}


def test_what_came_of_a_trial_is_no_call() -> None:
    assert after(a_row(), a_row(outcome="trial")) == after(a_row())


def test_a_call_is_counted_once_in_every_metric_that_it_concerns() -> None:
    assert after(a_row()) == {
        f"gen_ai_server_request_duration_seconds_count{{{GPT}}}": 1,
        f"gen_ai_server_request_duration_seconds_sum{{{GPT}}}": 0.32,
        f"gen_ai_client_operation_duration_seconds_count{{{UPSTREAM}}}": 1,
        f"gen_ai_client_operation_duration_seconds_sum{{{UPSTREAM}}}": 0.3,
        f'gen_ai_client_token_usage_count{{{UPSTREAM},gen_ai_token_type="input"}}': 1,
        f'gen_ai_client_token_usage_sum{{{UPSTREAM},gen_ai_token_type="input"}}': 100,
        f'gen_ai_client_token_usage_count{{{UPSTREAM},gen_ai_token_type="output"}}': 1,
        f'gen_ai_client_token_usage_sum{{{UPSTREAM},gen_ai_token_type="output"}}': 11,
        'http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="200",'
        'http_route="/v1/chat/completions"}': 1,
        'http_server_request_duration_seconds_sum{http_request_method="POST",http_response_status_code="200",'
        'http_route="/v1/chat/completions"}': 0.32,
        f'llmgw_calls_total{{{ACME},outcome="upstream",team="search"}}': 1,
        "llmgw_request_overhead_seconds_count": 1,
        "llmgw_request_overhead_seconds_sum": 0.002,
        f'llmgw_tokens_total{{{ACME},provider="openai",team="search",type="input"}}': 100,
        f'llmgw_tokens_total{{{ACME},provider="openai",team="search",type="output"}}': 11,
        f'llmgw_tokens_total{{{ACME},provider="openai",team="search",type="cached"}}': 20,
        f'llmgw_tokens_total{{{ACME},provider="openai",team="search",type="reasoning"}}': 5,
        f'llmgw_cost_usd_total{{{ACME},provider="openai",team="search"}}': 0.0025,
        'llmgw_cache_requests_total{kind="replay",result="bypass"}': 1,
        'llmgw_route_decisions_total{deployment="openai/gpt-4o",reason="named"}': 1,
        'llmgw_upstream_attempts_total{deployment="openai/gpt-4o",reason="primary"}': 1,
    }


def test_dropped_fields_are_told_apart_only_where_a_dialect_has_them() -> None:
    names = ["messages[2].name", "tools[0].strict", "x_mine", "messages", "+5"]

    found = {name: value for name, value in after(a_row(dropped=names)).items() if "dropped_fields" in name}

    assert found == {
        'llmgw_dropped_fields_total{field="messages",provider="openai"}': 2,
        'llmgw_dropped_fields_total{field="tools",provider="openai"}': 1,
        'llmgw_dropped_fields_total{field="_other",provider="openai"}': 2,
    }


def test_a_stream_tells_when_its_answer_began_and_how_fast_it_came() -> None:
    found = after(a_row(stream=True))

    assert found[f"gen_ai_server_time_to_first_token_seconds_sum{{{GPT}}}"] == 0.12
    assert found[f"gen_ai_server_time_per_output_token_seconds_sum{{{GPT}}}"] == pytest.approx(0.02)
    assert found[f"gen_ai_client_operation_time_to_first_chunk_seconds_sum{{{UPSTREAM}}}"] == 0.12


def test_a_stream_that_broke_off_is_billed_and_does_not_count_as_a_fast_one() -> None:
    broken = [a_try(error="upstream_truncated")]
    found = after(
        a_row(stream=True, outcome="upstream_error", error_code="upstream_truncated", status=502, attempts=broken)
    )

    assert not any(name.startswith("gen_ai_server_time") for name in found)
    assert found[f'llmgw_cost_usd_total{{{ACME},provider="openai",team="search"}}'] == 0.0025
    assert (
        found[f'gen_ai_server_request_duration_seconds_count{{error_type="upstream_truncated",{GPT}}}'],
        found[
            'llmgw_upstream_attempts_total{deployment="openai/gpt-4o",error_type="upstream_truncated",reason="primary"}'
        ],
    ) == (1, 1)


def test_every_attempt_counts_and_only_the_last_one_has_used_tokens() -> None:
    failed = a_try(
        deployment="azure/gpt-4o",
        provider="azure",
        address="",
        error="upstream_rate_limited",
        fault="upstream",
        first_byte_ms=None,
    )
    found = after(a_row(attempts=[failed, a_try(number=2, reason="fallback")]))

    attempts = {name: value for name, value in found.items() if name.startswith("llmgw_upstream_attempts")}
    assert attempts == {
        'llmgw_upstream_attempts_total{deployment="azure/gpt-4o",error_type="upstream_rate_limited",'
        'fault="upstream",reason="primary"}': 1,
        'llmgw_upstream_attempts_total{deployment="openai/gpt-4o",reason="fallback"}': 1,
    }
    assert not any("token_usage" in name and "azure" in name for name in found)
    assert any('gen_ai_provider_name="azure.ai.openai"' in name for name in found)


@pytest.mark.parametrize(
    ("provider", "address", "name"),
    [
        ("acme-llm", "10.0.0.5", "acme-llm"),
        ("mine", "x.openai.azure.com", "azure.ai.openai"),
        ("mistral", "proxy.internal", "mistral_ai"),
        ("gemini", "api.openai.com", "openai"),
    ],
)
def test_a_provider_is_called_as_in_spans_and_by_its_own_name_where_the_conventions_have_none(
    provider: str, address: str, name: str
) -> None:
    found = after(a_row(provider=provider, attempts=[a_try(provider=provider, address=address)]))

    told = {
        each.partition('gen_ai_provider_name="')[2].partition('"')[0] for each in found if "gen_ai_provider" in each
    }
    assert told == {name} == {provider_name(address, provider)}


def test_a_refused_call_counts_without_provider_tokens_or_cost() -> None:
    found = after(refused("invalid_api_key", status=401, outcome="rejected_auth", org=None, team=None, model=None))

    assert found['llmgw_calls_total{outcome="rejected_auth"}'] == 1
    assert not any(name.startswith(("llmgw_tokens", "llmgw_cost", "llmgw_route", "gen_ai_client")) for name in found)


def test_an_answer_from_the_cache_saves_and_uses_nothing() -> None:
    stages = [{"name": "cache", "kind": "semantic", "result": "hit"}]
    found = after(
        a_row(outcome="cache_semantic", cache="semantic-hit", saved_nano_usd=2_000_000, stages=stages)
        | dict.fromkeys(("provider", "deployment", "cost_nano_usd"))
        | {"attempts": []}
    )

    assert found['llmgw_cache_requests_total{kind="semantic",result="hit"}'] == 1
    assert found['llmgw_cache_saved_usd_total{kind="semantic",result="hit"}'] == 0.002
    assert not any(name.startswith("llmgw_tokens") for name in found)


def test_why_an_answer_was_not_found_in_the_cache_is_told_apart() -> None:
    looked_up = [{"name": "cache", "kind": "exact", "result": "miss"}]
    found = after(*(a_row(cache="miss", cache_reason=word, stages=looked_up) for word in ("new", "expired", "new")))

    counted = {name: value for name, value in found.items() if name.startswith("llmgw_cache_requests")}
    assert counted == {
        'llmgw_cache_requests_total{kind="exact",reason="new",result="miss"}': 2,
        'llmgw_cache_requests_total{kind="exact",reason="expired",result="miss"}': 1,
    }


def test_times_that_come_out_negative_make_no_sum_fall() -> None:
    counting = observer()
    for duration in (500.0, -500.0):
        counting.observe(a_row(overhead_ms=duration, duration_ms=duration, attempts=[a_try(duration_ms=duration)]))
    for sampled in (True, False):
        counting.observe(a_row(sampled=sampled, duration_ms=-1.0, overhead_ms=-1.0))

    found = shown(counting.totals)

    assert found["llmgw_request_overhead_seconds_sum"] == 0.5
    assert found[f"gen_ai_server_request_duration_seconds_sum{{{GPT}}}"] == 0.5
    assert found[f"gen_ai_server_request_duration_seconds_count{{{GPT}}}"] == 4


def test_a_bound_is_part_of_the_bucket_below_it() -> None:
    counting = observer()
    counting.observe(a_row(duration_ms=320.0))

    found = shown(counting.totals)

    server = "gen_ai_server_request_duration_seconds_bucket"
    assert found[f'{server}{{{GPT},le="0.16"}}'] == 0
    assert found[f'{server}{{{GPT},le="0.32"}}'] == 1
    assert found[f'{server}{{{GPT},le="+Inf"}}'] == 1


def series_of(counting: Observer) -> int:
    totals = counting.totals
    return sum(len(cells) for kind in (totals.counters, totals.histograms) for cells in kind.values())


def hostile(number: int) -> Row:
    """Whatever a client may choose, chosen anew."""
    text = random.Random(number).randbytes(9).hex()
    return {"model": text, "user": text, "tags": [text], "conversation": text, "id": text, "trace_id": f"{number:032x}"}


def test_a_client_that_makes_everything_up_creates_no_series() -> None:
    counting = observer()
    for make in (refused, a_row):
        counting.observe(make(model="nope"))
    before = series_of(counting)

    for number in range(1000):
        counting.observe(refused(**hostile(number)))

    assert series_of(counting) == before
    assert (
        shown(counting.totals)['llmgw_calls_total{model="_other",org="acme",outcome="rejected_policy",team="search"}']
        == 1001
    )


def test_a_wildcards_models_have_no_series_until_a_provider_has_answered_to_them() -> None:
    def asked(name: str, error: str | None = None) -> Row:
        tried = a_try(deployment=f"openai/{name}", upstream_model=name, error=error)
        return a_row(model=f"openai/{name}", deployment=f"openai/{name}", error_code=error, attempts=[tried])

    counting = observer()
    counting.observe(asked("gpt-5", "upstream_model_not_found"))
    counting.observe(asked("gpt-5"))
    counting.observe(asked("gpt-5", "upstream_model_not_found"))
    counting.observe(asked("made-up", "upstream_model_not_found"))

    found = shown(counting.totals)
    attempts = {name: value for name, value in found.items() if name.startswith("llmgw_upstream_attempts")}
    assert attempts == {
        'llmgw_upstream_attempts_total{deployment="_other",error_type="upstream_model_not_found",reason="primary"}': 2,
        'llmgw_upstream_attempts_total{deployment="openai/gpt-5",reason="primary"}': 1,
        'llmgw_upstream_attempts_total{deployment="openai/gpt-5",error_type="upstream_model_not_found",reason="primary"}': 1,
    }
    assert not any("made-up" in name for name in found)


def test_a_provider_that_answers_to_any_name_makes_no_more_than_some_series() -> None:
    counting = observer()
    for number in range(LEARNED * 5):
        name = f"any/{number}"
        tried = a_try(deployment=name, upstream_model=name)
        counting.observe(a_row(model=name, deployment=name, attempts=[tried]))

    models = {labels[1] for labels in counting.totals.counters["llmgw_calls_total"]}
    upstream = {labels[2] for labels in counting.totals.histograms["gen_ai_client_operation_duration_seconds"]}
    assert len(models) == LEARNED + 1
    assert len(upstream) == LEARNED + 1
    assert OTHER in models & upstream


def test_a_providers_own_error_codes_make_no_more_than_some_series() -> None:
    counting = observer()
    for number in range(1000):
        counting.observe(a_row(error_code=f"upstream_{number}", status=502, outcome="upstream_error"))

    assert len(counting.totals.histograms["http_server_request_duration_seconds"]) == 101


def test_what_is_beyond_the_ceiling_counts_in_one_series() -> None:
    counting = observer()
    for number in range(CEILING + 500):
        counting.observe(a_row(org=f"org-{number}"))

    calls = counting.totals.counters["llmgw_calls_total"]
    assert len(calls) == CEILING
    assert calls[OVERFLOW].value == 501
    assert sum(cell.value for cell in calls.values()) == CEILING + 500
    assert shown(counting.totals)['llmgw_calls_total{otel_metric_overflow="true"}'] == 501


def test_a_model_that_the_policy_has_been_given_counts_under_its_name_at_once() -> None:
    policies = [Known(), Known(frozenset({"new"}))]
    current = policies[0]
    counting = Observer(lambda: current, lambda: current)
    counting.observe(refused("upstream_error", model="new"))

    current = policies[1]
    counting.observe(refused("upstream_error", model="new"))

    assert [labels[1] for labels in counting.totals.counters["llmgw_calls_total"]] == ["_other", "new"]


@pytest.mark.parametrize("make", [a_row, refused])
@pytest.mark.parametrize("name", ["\ud800", 'a"b\\c\n', "x" * 1000, "", "\x00", "модель"])
def test_an_odd_name_is_shown_as_text_that_scrapers_can_read(make: Callable[..., Row], name: str) -> None:
    counting = Observer(lambda: POLICY, lambda: Known(frozenset({name}), frozenset({name})))
    tried = [a_try(deployment=name, upstream_model=name, provider=name, error=name)]
    counting.observe(make(model=name, org=name, team=name, provider=name, route=name, deployment=name, attempts=tried))

    assert shown(counting.totals)


def test_every_instrument_that_is_not_asked_is_fed_by_some_row() -> None:
    counting = observer()
    hit = [{"name": "cache", "kind": "exact", "result": "hit"}]
    for row in (a_row(), a_row(stream=True), a_row(stages=hit, saved_nano_usd=1), a_row(dropped=["seed"])):
        counting.observe(row)

    totals = counting.totals
    assert {*totals.counters, *totals.histograms} == {each.name for each in INSTRUMENTS.values() if not each.is_asked}


def test_each_of_several_answers_is_counted_for_whom_it_was_bought_from() -> None:
    tried = a_try(provider="azure", reason="try") | paid(30, 3, 100_000)
    served = a_try(reason="escalation") | paid(70, 8, 2_500_000) | {"served": True}

    told = after(a_row(attempts=[tried, served]))

    assert {name: value for name, value in told.items() if "tokens_total" in name or "cost" in name} == {
        f'llmgw_tokens_total{{{ACME},provider="azure",team="search",type="input"}}': 30,
        f'llmgw_tokens_total{{{ACME},provider="azure",team="search",type="output"}}': 3,
        f'llmgw_tokens_total{{{ACME},provider="openai",team="search",type="input"}}': 70,
        f'llmgw_tokens_total{{{ACME},provider="openai",team="search",type="output"}}': 8,
        f'llmgw_tokens_total{{{ACME},provider="azure",team="search",type="cached"}}': 0,
        f'llmgw_tokens_total{{{ACME},provider="azure",team="search",type="reasoning"}}': 0,
        f'llmgw_tokens_total{{{ACME},provider="openai",team="search",type="cached"}}': 0,
        f'llmgw_tokens_total{{{ACME},provider="openai",team="search",type="reasoning"}}': 0,
        f'llmgw_cost_usd_total{{{ACME},provider="azure",team="search"}}': 0.0001,
        f'llmgw_cost_usd_total{{{ACME},provider="openai",team="search"}}': 0.0025,
    }
    assert sum(value for name, value in told.items() if "token_usage_count" in name) == 4


def paid(sent: int, made: int, cost: int) -> Row:
    used = {"input_tokens": sent, "output_tokens": made, "cached_tokens": 0, "reasoning_tokens": 0}
    return {**used, "served": False, "estimated": False, "cost_nano_usd": cost}
