"""List prices of models that make no text, from the public table that ships inside the litellm package: nothing is fetched.

It is read at the first look-up of a provider that it knows (about 30 ms), and only these prices are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Any

import orjson

from gateway.core.deployment import Provider
from gateway.core.money import Price, nano
from gateway.meter.model_table import FILE, HOSTS
from gateway.meter.tokens import litellm_folder

_MODES = frozenset({"image_generation", "image_edit", "audio_speech", "audio_transcription", "rerank", "moderation"})
_MORE_HOSTS = {"api.cohere.com": "cohere", "api.jina.ai": "jina_ai", "api.voyageai.com": "voyage"}
_TOKENS: Mapping[str, str] = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
    "image_input": "input_cost_per_image_token",
    "image_output": "output_cost_per_image_token",
}
_UNITS = ("input_cost_per_image", "output_cost_per_image", "input_cost_per_second", "input_cost_per_character")
_SEARCH = "input_cost_per_query"
_CHARACTERS_OF_SECOND = 15
"""What is spoken in a second: for speech that is billed by tokens which nobody tells."""


class MediaTable:
    def price(self, provider: Provider, upstream_model: str) -> Price | None:
        """None for a model that is not known, or makes text. Of prices that vary with an image's size the dearest is taken."""
        name = HOSTS.get(provider.host) or _MORE_HOSTS.get(provider.host)
        return None if name is None else self._known.get((name, upstream_model))

    @cached_property
    def _known(self) -> Mapping[tuple[str, str], Price]:
        listed: Mapping[str, Any] = orjson.loads((litellm_folder() / FILE).read_bytes())
        found: dict[tuple[str, str], Price] = {}
        for key, price in _entries(listed):
            before = found.get(key)
            found[key] = price if before is None else _dearest(before, price)
        return found


def _entries(listed: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Price]]:
    known = frozenset({*HOSTS.values(), *_MORE_HOSTS.values()})
    for name, entry in listed.items():
        provider = entry.get("litellm_provider")
        if provider in known and entry.get("mode") in _MODES and (price := _price(entry)) is not None:
            model = name.removeprefix(f"{provider}/")
            yield (provider, model.rpartition("/")[2] if "-x-" in model else model), price


def _price(entry: Mapping[str, Any]) -> Price | None:
    rates = {name: _nano(entry[key], 1_000_000) for name, key in _TOKENS.items() if entry.get(key) is not None}
    unit = max((_nano(entry[key], 1) for key in (*_UNITS, _SEARCH) if entry.get(key) is not None), default=0)
    if entry["mode"] == "audio_speech" and not unit and entry.get("output_cost_per_second"):
        unit = _nano(entry["output_cost_per_second"] / _CHARACTERS_OF_SECOND, 1)
    if not rates and not unit:
        return None
    return Price(
        input=rates.get("input", 0),
        output=rates.get("output", 0),
        audio_input=rates.get("audio_input"),
        audio_output=rates.get("audio_output"),
        image_input=rates.get("image_input"),
        image_output=rates.get("image_output"),
        unit=unit,
    )


def _nano(dollars: float, times: int) -> int:
    """Nano-dollars, rounded up, of so many."""
    return nano(Decimal(str(dollars)) * times)


def _dearest(one: Price, other: Price) -> Price:
    """The rates of tokens that one of the two has, and the higher price of a unit."""
    rated = one if one.input or one.output else other
    return replace(rated, unit=max(one.unit, other.unit))
