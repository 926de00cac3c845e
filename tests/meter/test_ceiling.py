"""What so many tokens can cost at most is never less than what they then cost, and no more than need be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.money import Price
from gateway.core.usage import NO_DETAILS, Details, Usage
from gateway.meter.price import ceiling, cost

OWN_KINDS = ("cached_input", "cache_write", "audio_input", "audio_output", "image_input", "image_output", "reasoning")
MEDIA = ("audio_input", "audio_output", "image_input", "image_output")
RATES = st.integers(0, 10**12)
COUNTS = st.integers(0, 400_000)


@st.composite
def prices(draw: st.DrawFn, *, are_rising: bool = False) -> Price:
    names = ("input", "output", *draw(st.sets(st.sampled_from(OWN_KINDS))))
    rates = {name: draw(RATES) for name in names}
    base = Price(request=draw(RATES), tiers=(), **rates)
    tiers: list[tuple[int, Price]] = []
    for above in sorted(draw(st.sets(COUNTS, max_size=3))):
        rates = {name: draw(RATES) + (rates[name] if are_rising else 0) for name in names}
        tiers.append((above, Price(request=0, tiers=(), **rates)))
    return replace(base, tiers=tuple(tiers))


USAGES = st.builds(
    Usage,
    input=COUNTS,
    output=COUNTS,
    cached=COUNTS,
    reasoning=COUNTS,
    details=st.just(NO_DETAILS) | st.builds(Details, **dict.fromkeys(("cache_write", *MEDIA), COUNTS)),
)
KINDS = st.frozensets(st.sampled_from(MEDIA))


def only(kinds: frozenset[str], usage: Usage) -> Usage:
    """The usage without what the call cannot have."""
    impossible = {name: 0 for name in MEDIA if name not in kinds}
    return replace(usage, details=replace(usage.details, **impossible))


@given(USAGES, prices(), KINDS)
def test_no_usage_costs_more_than_its_ceiling(usage: Usage, price: Price, kinds: frozenset[str]) -> None:
    assert cost(only(kinds, usage), price) <= ceiling(usage.input, usage.output, price, kinds=kinds)


@given(USAGES, prices(), COUNTS, COUNTS)
def test_a_ceiling_holds_for_fewer_tokens_too(usage: Usage, price: Price, input: int, output: int) -> None:
    most = ceiling(usage.input + input, usage.output + output, price, kinds=frozenset(MEDIA))

    assert cost(usage, price) <= most


WHOLES = {"cached": "input", "reasoning": "output", "cache_write": "input"} | {
    name: name.rpartition("_")[2] for name in MEDIA
}


@given(st.lists(COUNTS, min_size=9, max_size=9), prices(are_rising=True), st.integers(1, 10**6))
def test_more_tokens_of_any_kind_never_cost_less(counts: list[int], price: Price, more: int) -> None:
    parts = dict(zip(WHOLES, counts, strict=False))
    before = cost(_usage(parts, *counts[7:]), price)

    for name in WHOLES:
        assert cost(_usage(parts | {name: parts[name] + more}, *counts[7:]), price) >= before
    assert cost(_usage(parts, counts[7] + more, counts[8]), price) >= before
    assert cost(_usage(parts, counts[7], counts[8] + more), price) >= before


def _usage(parts: dict[str, int], text_in: int, text_out: int) -> Usage:
    wholes = {"input": text_in, "output": text_out}
    for name, count in parts.items():
        wholes[WHOLES[name]] += count
    details = {name: count for name, count in parts.items() if name not in ("cached", "reasoning")}
    cached, reasoning = parts["cached"], parts["reasoning"]
    return Usage(wholes["input"], wholes["output"], cached, reasoning, details=Details(**details))


BASE = Price(1_000_000, 2_000_000, cached_input=100_000, audio_input=40_000_000, audio_output=80_000_000)


@pytest.mark.parametrize(
    ("price", "kinds", "expected"),
    [
        (BASE, (), 10 * 1 + 5 * 2),
        (BASE, ("audio_input",), 10 * 40 + 5 * 2),
        (BASE, ("audio_output",), 10 * 1 + 5 * 80),
        (BASE, ("image_input", "image_output"), 10 * 1 + 5 * 2),
        (replace(BASE, cache_write=1_250_000), (), 13 + 5 * 2),
        (replace(BASE, reasoning=3_000_000, request=7), (), 10 * 1 + 5 * 3 + 7),
        (replace(BASE, image_input=3_000_000, image_output=9_000_000), ("image_input",), 10 * 3 + 5 * 2),
        (replace(BASE, tiers=((10, Price(9_000_000, 9_000_000)),)), (), 10 * 1 + 5 * 2),
        (replace(BASE, tiers=((9, Price(9_000_000, 8_000_000)),)), (), 10 * 9 + 5 * 8),
        (replace(BASE, tiers=((9, Price(1, 1)),)), (), 10 * 1 + 5 * 2),
    ],
)
def test_a_ceiling_has_only_the_kinds_and_the_tiers_that_the_call_can_reach(
    price: Price, kinds: tuple[str, ...], expected: int
) -> None:
    assert ceiling(10, 5, price, kinds=frozenset(kinds)) == expected
