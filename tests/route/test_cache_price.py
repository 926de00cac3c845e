"""Who leaves a model in mid-conversation loses its prompt cache, and so leaves only for what is cheaper without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.money import Price
from gateway.route.cache_price import pays

STRONG = Price(input=2500, output=10_000, cached_input=1250)
MIDDLE = Price(input=2000, output=8000, cached_input=1000)
CHEAP = Price(input=150, output=600, cached_input=75)


@pytest.mark.parametrize(
    ("stay", "switch", "sent", "made", "is_worth_it"),
    [
        (STRONG, CHEAP, 10_000, 256, True),  # cheaper even with the cache lost
        (STRONG, MIDDLE, 10_000, 256, False),  # 2000 > 1250 for each of many tokens
        (STRONG, MIDDLE, 100, 1000, True),  # a short prompt: the answer is what costs
        (MIDDLE, STRONG, 10_000, 256, True),  # dearer anyway: not for the money
        (CHEAP, CHEAP, 1000, 100, True),
        (Price(2500, 10_000), MIDDLE, 10_000, 256, True),  # without a price for cached tokens nothing is lost
        (Price(2500, 10_000, cached_input=0), CHEAP, 100_000, 1, False),
    ],
)
def test_a_switch_has_to_pay(stay: Price, switch: Price, sent: int, made: int, is_worth_it: bool) -> None:
    assert pays(stay, switch, sent=sent, made=made) is is_worth_it


@given(
    rates=st.tuples(*[st.integers(0, 10_000)] * 4),
    cached=st.integers(0, 10_000),
    sent=st.integers(0, 10**6),
    made=st.integers(0, 10**5),
)
def test_a_switch_that_is_made_for_the_money_saves_some(
    rates: tuple[int, ...], cached: int, sent: int, made: int
) -> None:
    stay, switch = Price(rates[0], rates[1], cached_input=min(cached, rates[0])), Price(rates[2], rates[3])

    is_cheaper = sent * switch.input + made * switch.output < sent * stay.input + made * stay.output
    if pays(stay, switch, sent=sent, made=made) and is_cheaper:
        assert sent * switch.input + made * switch.output < sent * (stay.cached_input or 0) + made * stay.output
