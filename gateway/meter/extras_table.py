"""What is billed besides common tokens, from the public table that ships inside the litellm package: nothing is fetched.

It is read at the first look-up of a provider that it knows (about 30 ms), and only these prices are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

import orjson

from gateway.core.deployment import Provider
from gateway.core.money import Price, nano
from gateway.meter.model_table import FILE, HOSTS
from gateway.meter.tokens import litellm_folder

_HOUR = "cache_creation_input_token_cost_above_1hr"
_SEARCH = "search_context_cost_per_query"


@dataclass(frozen=True, slots=True)
class Extras:
    """Nano-USD per million tokens that are kept in a cache for an hour, and for each search of the web; None: not known."""

    cache_write_1h: int | None
    web_search: int | None


class ExtrasTable:
    def added(self, price: Price, provider: Provider, upstream_model: str) -> Price:
        """The price with what the table knows besides; a tier's cache for an hour is dearer by as much as its input is."""
        name = HOSTS.get(provider.host)
        found = None if name is None else self._known.get((name, upstream_model))
        if found is None:
            return price
        tiers = tuple((above, _with_hour(tier, price, found.cache_write_1h)) for above, tier in price.tiers)
        return replace(price, cache_write_1h=found.cache_write_1h, web_search=found.web_search, tiers=tiers)

    @cached_property
    def _known(self) -> Mapping[tuple[str, str], Extras]:
        listed: Mapping[str, Any] = orjson.loads((litellm_folder() / FILE).read_bytes())
        return dict(_entries(listed))


def _entries(listed: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Extras]]:
    """A name with the provider before it goes before one without. Of searches with more or less context the dearest is taken."""
    known = frozenset(HOSTS.values())
    for name, entry in sorted(listed.items(), key=lambda pair: "/" in pair[0]):
        provider, hour, searches = entry.get("litellm_provider"), entry.get(_HOUR), entry.get(_SEARCH)
        if provider not in known or (hour is None and not searches):
            continue
        written = None if hour is None else nano(Decimal(str(hour)) * 1_000_000)
        search = max(nano(each) for each in searches.values()) if isinstance(searches, dict) and searches else None
        yield (provider, name.removeprefix(f"{provider}/")), Extras(written, search)


def _with_hour(tier: Price, base: Price, hour: int | None) -> Price:
    if hour is None or not base.input:
        return tier
    return replace(tier, cache_write_1h=-(-hour * tier.input // base.input))
