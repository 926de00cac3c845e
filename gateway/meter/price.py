"""What tokens cost: prices from the public table of the genai-prices package, and the cost of a usage at a price.

The table ships inside the package, so nothing is fetched. It is imported on the first lookup, because it takes about
11 MB and 0.15 s, which a policy with its own prices does not need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from gateway.core.clock import Clock
from gateway.core.deployment import Provider
from gateway.core.money import Price, nano
from gateway.core.usage import NO_DETAILS, Details, Usage
from gateway.meter.extras_table import ExtrasTable
from gateway.meter.media_table import MediaTable

if TYPE_CHECKING:
    from genai_prices import types

_MILLION = 1_000_000
_LONGEST_NAME = 200


def cost(usage: Usage, price: Price) -> int:
    """The cost in nano-USD, rounded up once."""
    rates = _in_tier(usage.input, price) if price.tiers else price
    details = usage.details
    if details is NO_DETAILS and rates.reasoning is None:
        sent = _mixed(usage.input, rates.input, ((usage.cached, rates.cached_input),))
        made = usage.output * rates.output
    else:
        sent = _mixed(
            usage.input,
            rates.input,
            (
                (usage.cached, rates.cached_input),
                *_written(details, rates),
                (details.audio_input, rates.audio_input),
                (details.image_input, rates.image_input),
            ),
        )
        made = _mixed(
            usage.output,
            rates.output,
            (
                (details.audio_output, rates.audio_output),
                (details.image_output, rates.image_output),
                (usage.reasoning, rates.reasoning),
            ),
        )
    return -(-(sent + made) // _MILLION) + price.request + _beside(usage, price)


def ceiling(
    input_tokens: int,
    output_tokens: int,
    price: Price,
    *,
    kinds: Set[str] = frozenset(),
    units: int = 0,
    searches: int = 0,
) -> int:
    """The most nano-USD that up to so many tokens can cost, whichever of them turn out cached, written to a cache or reasoning.

    `kinds` are those besides text that the call can have: audio_input, audio_output, image_input, image_output.
    """
    most = _worst(input_tokens, output_tokens, price, kinds)
    for above, tier in price.tiers:
        if input_tokens > above:
            most = max(most, _worst(input_tokens, output_tokens, tier, kinds))
    return max(-(-most // _MILLION), units * price.unit) + price.request + searches * (price.web_search or 0)


def _beside(usage: Usage, price: Price) -> int:
    """Searches, and units: nothing for these where tokens are told, and sold."""
    searches = usage.searches * (price.web_search or 0)
    is_by_token = (usage.input or usage.output) and (price.input or price.output)
    return searches if is_by_token else searches + usage.units * price.unit


def _written(details: Details, rates: Price) -> tuple[tuple[int, int | None], ...]:
    """Tokens put into the cache, those for an hour by themselves where they have a price of their own."""
    if rates.cache_write_1h is None:
        return ((details.cache_write, rates.cache_write),)
    for_an_hour = min(details.cache_write_1h, details.cache_write)
    rest = rates.input if rates.cache_write is None else rates.cache_write
    return (for_an_hour, rates.cache_write_1h), (details.cache_write - for_an_hour, rest)


def _in_tier(input_tokens: int, price: Price) -> Price:
    rates = price
    for above, tier in price.tiers:
        if input_tokens > above:
            rates = tier
    return rates


def _mixed(tokens: int, rate: int, kinds: tuple[tuple[int, int | None], ...]) -> int:
    """So many tokens at `rate`, but for those of a kind that has its own. A token is of one kind only: the first named."""
    amount = 0
    for count, own in kinds:
        if count and own is not None:
            some = min(count, tokens)
            tokens -= some
            amount += some * own
    return amount + tokens * rate


def _worst(input_tokens: int, output_tokens: int, price: Price, kinds: Set[str]) -> int:
    """All tokens at the rate of the dearest kind."""
    sent = max(price.input, price.cached_input or 0, price.cache_write or 0, price.cache_write_1h or 0)
    made = max(price.output, price.reasoning or 0)
    if kinds:
        audio, image = "audio_input" in kinds and price.audio_input, "image_input" in kinds and price.image_input
        sent = max(sent, audio or 0, image or 0)
        audio, image = "audio_output" in kinds and price.audio_output, "image_output" in kinds and price.image_output
        made = max(made, audio or 0, image or 0)
    return input_tokens * sent + output_tokens * made


class PriceTable:
    """The public price table, as of the time of a lookup."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._media = MediaTable()
        self._extras = ExtrasTable()

    def price(self, provider: Provider, upstream_model: str) -> Price | None:
        """The list price of a model at a provider, or None when it is not known.

        The provider is recognised by the host of its API, else by its name. Of a price that varies with the hour the dearest
        is taken, so a call may have cost less.
        """
        if len(upstream_model) > _LONGEST_NAME:
            return None
        if (listed := self._media.price(provider, upstream_model)) is not None:
            return listed
        found = _providers()
        known = _by_host(provider.host, found) or _by_name(provider.translator or provider.name, found)
        model = known.find_model(upstream_model, all_providers=found) if known else None
        price = _in_force(model, self._clock.now()) if model else None
        return None if price is None else self._extras.added(price, provider, upstream_model)


def _providers() -> list[types.Provider]:
    from genai_prices.data import providers  # noqa: PLC0415  (see the module's docstring)

    return providers


def _by_host(host: str, providers: list[types.Provider]) -> types.Provider | None:
    url = f"https://{host}/"
    return next((each for each in providers if re.match(each.api_pattern, url)), None)


def _by_name(name: str, providers: list[types.Provider]) -> types.Provider | None:
    exact = next((each for each in providers if each.id == name.lower()), None)
    if exact is not None:
        return exact
    return next((each for each in providers if each.provider_match and each.provider_match.is_match(name)), None)


def _in_force(model: types.ModelInfo, now: float) -> Price | None:
    """The last price whose start date has come, or the dearest where the price goes up at some hours of the day."""
    if not isinstance(model.prices, list):
        return _price(model.prices)
    today = datetime.fromtimestamp(now, UTC).date()
    begun: Price | None = None
    hourly: list[Price] = []
    for each in model.prices:
        price = _price(each.prices)
        start = getattr(each.constraint, "start_date", None)
        if each.constraint is None or (start is not None and start <= today):
            begun = price
        elif start is None and price is not None:
            hourly.append(price)
    return max((begun, *hourly), key=lambda price: price.input + price.output) if begun else None


_KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
    "reasoning": "output_reasoning_mtok",
}
"""What the package calls the rates of a Price."""


def _price(listed: types.ModelPrice) -> Price | None:
    """None for a model that is not billed by input tokens, such as one for images."""
    if listed.input_mtok is None:
        return None
    rates = {name: rate for name, key in _KEYS.items() if (rate := getattr(listed, key)) is not None}
    starts = sorted({tier.start for rate in rates.values() if not isinstance(rate, Decimal) for tier in rate.tiers})
    return replace(
        _above(-1, rates),
        request=0 if listed.requests_kcount is None else nano(_rate(listed.requests_kcount, -1) / 1000),
        tiers=tuple((start, _above(start, rates)) for start in starts),
    )


def _above(start: int, rates: Mapping[str, Decimal | types.TieredPrices]) -> Price:
    """The price of calls with more than `start` input tokens, as far as the next tier."""
    amounts = {name: nano(_rate(rate, start)) for name, rate in rates.items()}
    return Price(request=0, tiers=(), **{"output": 0, **amounts})


def _rate(listed: Decimal | types.TieredPrices, start: int) -> Decimal:
    """In tiers, the last that begins at `start` or before; it holds for all tokens of a call, as the package has it."""
    if isinstance(listed, Decimal):
        return listed
    return next((tier.price for tier in reversed(listed.tiers) if tier.start <= start), listed.base)
