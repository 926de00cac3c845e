"""What tokens cost, and where prices come from."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from genai_prices import types
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clock import Clock
from gateway.core.deployment import Provider
from gateway.core.money import NANO, Price, nano
from gateway.core.usage import Details, Usage
from gateway.meter.price import PriceTable, cost


@pytest.mark.parametrize(
    ("usage", "price", "expected"),
    [
        (Usage(0, 0), Price(NANO, NANO), 0),
        (Usage(1_000_000, 0), Price(2_500_000_000, 1), 2_500_000_000),
        (Usage(1, 0), Price(1, 0), 1),
        (Usage(1, 1), Price(1, 1), 1),
        (Usage(3, 2), Price(150_000_000, 600_000_000), 1_650),
        (Usage(100, 10, cached=40), Price(1_000_000, 2_000_000, 500_000), 60 + 20 + 20),
        (Usage(100, 10, cached=40), Price(1_000_000, 2_000_000), 100 + 20),
        (Usage(100, 0, cached=100), Price(1_000_000, 0, 0), 0),
        (Usage(10, 0, cached=1000), Price(1_000_000, 0, 0), 0),
    ],
)
def test_a_cost_is_exact_and_rounded_up_once(usage: Usage, price: Price, expected: int) -> None:
    assert cost(usage, price) == expected


TOKENS = st.integers(0, 10_000_000)
NANOS = st.integers(0, 10**15)


@given(TOKENS, TOKENS, TOKENS, NANOS, NANOS, NANOS)
def test_a_cost_is_never_less_than_the_price_and_never_a_nano_more(
    fresh: int, cached: int, output: int, price_in: int, price_out: int, price_cached: int
) -> None:
    exact = fresh * price_in + cached * price_cached + output * price_out

    billed = cost(Usage(fresh + cached, output, cached=cached), Price(price_in, price_out, price_cached))

    assert exact <= billed * 1_000_000 < exact + 1_000_000


@pytest.mark.parametrize(
    ("dollars", "expected"), [(2.5, 2_500_000_000), (0.1, 100_000_000), (1e-10, 1), (0, 0), (0.3, 300_000_000)]
)
def test_dollars_become_nano_dollars_as_they_are_printed(dollars: float, expected: int) -> None:
    assert nano(dollars) == expected


def at(day: str) -> PriceTable:
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC).timestamp()
    return PriceTable(Clock(now=lambda: noon))


def provider(name: str, host: str = "") -> Provider:
    return Provider(name=name, dialect="openai", host=host)


def test_a_list_price_is_found_by_the_host_or_the_name_of_the_provider() -> None:
    table = at("2026-11-01")
    expected = Price(input=150_000_000, output=600_000_000, cached_input=75_000_000)

    assert table.price(provider("mine", "api.openai.com"), "gpt-4o-mini") == replace(expected, web_search=25_000_000)
    assert table.price(provider("openai", "127.0.0.1"), "gpt-4o-mini") == expected
    assert table.price(provider("azure", "x.openai.azure.com"), "gpt-4o-mini") == expected


def test_a_price_in_tiers_keeps_them() -> None:
    price = at("2026-11-01").price(provider("gemini", "generativelanguage.googleapis.com"), "gemini-2.5-pro")

    above = Price(input=2_500_000_000, output=15_000_000_000, cached_input=250_000_000)
    assert price == Price(
        input=1_250_000_000,
        output=10_000_000_000,
        cached_input=125_000_000,
        web_search=35_000_000,
        tiers=((200_000, above),),
    )


@pytest.mark.parametrize(
    ("where", "upstream_model", "expected"),
    [
        ("openai", "gpt-audio", {"audio_input": 32, "audio_output": 64}),
        ("anthropic", "claude-3-5-sonnet-latest", {"cached_input": 0.3, "cache_write": 3.75}),
        ("google", "gemini-2.5-flash-image", {"image_output": 30}),
        ("perplexity", "sonar", {"request": 0.012}),
        ("perplexity", "sonar-deep-research", {"reasoning": 3}),
    ],
)
def test_every_kind_of_price_in_the_table_is_read(where: str, upstream_model: str, expected: dict[str, float]) -> None:
    price = at("2026-11-01").price(provider(where), upstream_model)

    assert {name: getattr(price, name) for name in expected} == {name: nano(usd) for name, usd in expected.items()}


USAGES = (Usage(1000, 500), Usage(90_001, 700, cached=40_000, reasoning=300, details=Details(5000, 600, 70, 80, 90)))


@pytest.mark.parametrize("times", [1, 3, 7], ids=["short", "long", "longest"])
@pytest.mark.parametrize("usage", USAGES, ids=["plain", "of every kind"])
def test_a_cost_is_what_the_package_itself_calculates(usage: Usage, times: int) -> None:
    """For every model with one price; what it leaves out of a usage we bill as other input or output."""
    table = at("2026-11-01")
    usage = replace(usage, input=usage.input * times)
    details = usage.details
    theirs = types.Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cached,
        cache_write_tokens=details.cache_write,
        cache_write_1h_tokens=0,
        input_audio_tokens=details.audio_input,
        output_audio_tokens=details.audio_output,
        input_image_tokens=details.image_input,
        output_image_tokens=details.image_output,
        output_reasoning_tokens=usage.reasoning,
        cache_audio_read_tokens=0,
        cache_image_read_tokens=0,
    )
    compared = 0
    for each in providers:
        for model in each.models:
            if isinstance(model.prices, list) or model.prices.input_mtok is None:
                continue
            price = table.price(provider(each.id), model.id)
            if price is None or each.find_model(model.id, all_providers=providers) is not model:
                continue
            exact = model.calc_price(theirs, each).total_price * NANO
            assert 0 <= cost(usage, price) - exact < 1, (each.id, model.id)
            compared += 1
    assert compared > 500


def test_a_price_that_varies_with_the_hour_is_the_dearest_of_those_that_have_begun() -> None:
    deepseek = provider("deepseek", "api.deepseek.com")

    price = at("2026-11-01").price(deepseek, "deepseek-chat")

    assert price == Price(input=270_000_000, output=1_100_000_000, cached_input=70_000_000)


@pytest.mark.parametrize(
    ("name", "upstream_model"), [("vllm", "llama"), ("demo", "demo"), ("openai", "no-such"), ("openai", "gpt-4o" * 100)]
)
def test_a_price_that_is_not_known_is_none(name: str, upstream_model: str) -> None:
    assert at("2026-11-01").price(provider(name, "10.0.0.5"), upstream_model) is None


def test_the_table_is_not_read_before_it_is_needed() -> None:
    program = "import sys; import gateway.policy.compile, gateway.meter.price; sys.exit('genai_prices' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
