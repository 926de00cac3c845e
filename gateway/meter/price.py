"""What tokens cost: prices from the public table of the genai-prices package, and the cost of a usage at a price.

The table ships inside the package, so nothing is fetched. It is imported on the first lookup, because it takes about
11 MB and 0.15 s, which a policy with its own prices does not need.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from gateway.core.clock import Clock
from gateway.core.deployment import Provider
from gateway.core.money import NANO, Price
from gateway.core.usage import Usage

if TYPE_CHECKING:
    from genai_prices import types

_MILLION = 1_000_000
_LONGEST_NAME = 200


def cost(usage: Usage, price: Price) -> int:
    """The cost in nano-USD, rounded up once; cached input tokens at `cached_input` when the price has it."""
    cached = min(usage.cached, usage.input)
    cached_price = price.input if price.cached_input is None else price.cached_input
    micro = (usage.input - cached) * price.input + cached * cached_price + usage.output * price.output
    return -(-micro // _MILLION)


def nano(dollars: Decimal | float) -> int:
    """Nano-dollars, rounded up; a float counts as the decimal number it is printed as."""
    return int((Decimal(str(dollars)) * NANO).to_integral_value(rounding=ROUND_CEILING))


class PriceTable:
    """The public price table, as of the time of a lookup."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def price(self, provider: Provider, upstream_model: str) -> Price | None:
        """The list price of a model at a provider, or None when it is not known.

        The provider is recognised by the host of its API, else by its name. Of a price in tiers the base tier is taken,
        so a very long prompt may have cost more; of one that varies with the hour the dearest, so it may have cost less.
        """
        if len(upstream_model) > _LONGEST_NAME:
            return None
        found = _providers()
        known = _by_host(provider.host, found) or _by_name(provider.name, found)
        model = known.find_model(upstream_model, all_providers=found) if known else None
        return _in_force(model, self._clock.now()) if model else None


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


def _price(listed: types.ModelPrice) -> Price | None:
    """None for a model that is not billed by input tokens, such as one for images."""
    if listed.input_mtok is None:
        return None
    cached = listed.cache_read_mtok
    return Price(
        input=_base(listed.input_mtok),
        output=0 if listed.output_mtok is None else _base(listed.output_mtok),
        cached_input=None if cached is None else _base(cached),
    )


def _base(price: Decimal | types.TieredPrices) -> int:
    return nano(price if isinstance(price, Decimal) else price.base)
