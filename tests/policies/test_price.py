"""What tokens cost, and where prices come from."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clock import Clock
from gateway.core.deployment import Provider
from gateway.core.money import NANO, Price
from gateway.core.usage import Usage
from gateway.meter.price import PriceTable, cost, nano


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

    assert table.price(provider("mine", "api.openai.com"), "gpt-4o-mini") == expected
    assert table.price(provider("openai", "127.0.0.1"), "gpt-4o-mini") == expected
    assert table.price(provider("azure", "x.openai.azure.com"), "gpt-4o-mini") == expected


def test_of_a_price_in_tiers_the_base_tier_is_taken() -> None:
    price = at("2026-11-01").price(provider("gemini", "generativelanguage.googleapis.com"), "gemini-2.5-pro")

    assert price == Price(input=1_250_000_000, output=10_000_000_000, cached_input=125_000_000)


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
