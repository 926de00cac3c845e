"""What images, speech, transcripts, searches and moderations cost by the public table, and how a usage of them is priced."""

from __future__ import annotations

import pytest

from gateway.core.clock import Clock
from gateway.core.deployment import Provider
from gateway.core.money import Price
from gateway.core.usage import Details, Usage
from gateway.meter.price import PriceTable, ceiling, cost

TABLE = PriceTable(Clock())


@pytest.mark.parametrize(
    ("host", "model", "unit"),
    [
        ("api.openai.com", "tts-1", 15_000),
        ("api.openai.com", "whisper-1", 100_000),
        ("api.openai.com", "gpt-image-1", 250_000_000),
        ("api.groq.com", "whisper-large-v3", 30_830),
        ("api.cohere.com", "rerank-v3.5", 2_000_000),
        ("api.openai.com", "omni-moderation-latest", 0),
    ],
)
def test_what_a_unit_costs(host: str, model: str, unit: int) -> None:
    price = TABLE.price(Provider(name="p", dialect="openai", host=host), model)

    assert price is not None
    assert price.unit == unit


def test_a_server_of_ones_own_has_no_list_price() -> None:
    assert TABLE.price(Provider(name="mine", dialect="openai", host="10.0.0.1"), "whisper-1") is None


def test_tokens_that_are_told_go_before_units() -> None:
    by_both = Price(input=5_000_000_000, output=40_000_000_000, image_output=40_000_000_000, unit=250_000_000)
    by_unit = Price(input=0, output=0, unit=40_000_000)

    assert cost(Usage(10, 100, details=Details(image_output=100), units=1), by_both) == 10 * 5_000 + 100 * 40_000
    assert cost(Usage(0, 0, units=2), by_both) == 500_000_000
    assert cost(Usage(10, 100, units=2), by_unit) == 80_000_000


def test_no_usage_costs_more_than_its_ceiling() -> None:
    price = Price(input=5_000_000_000, output=40_000_000_000, unit=250_000_000)

    most = ceiling(10, 100, price, units=2)

    assert most == 500_000_000
    assert all(cost(Usage(sent, made, units=2), price) <= most for sent in (0, 10) for made in (0, 100))
