"""What the YAML of a policy may say of prices; a part of schema.py, which says how it is read."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from pydantic.functional_validators import AfterValidator

from gateway.policy.shapes import Dollars, Section, Tokens


def rising(tiers: list[PriceTier]) -> list[PriceTier]:
    """Raises ValueError when one is not above the one before it."""
    for below, tier in pairwise(tiers):
        if tier.above <= below.above:
            raise ValueError(f"each tier must be above the one before it, and {tier.above} is not above {below.above}")
    return tiers


class Rates(Section):
    """USD per million tokens of each kind."""

    input: Dollars | None = Field(None, alias="in", description="Input tokens.")
    output: Dollars | None = Field(None, alias="out", description="Output tokens.")
    cached_in: Dollars | None = None
    """Input tokens that the provider found in its cache. Default: the same as other input."""
    cache_write: Dollars | None = None
    """Input tokens that the provider put into its cache. Default: the same as other input."""
    cache_write_1h: Dollars | None = None
    """Input tokens that the provider keeps in its cache for an hour. Default: the same as `cache_write`."""
    audio_in: Dollars | None = None
    """Input tokens of audio. Default: the same as other input."""
    audio_out: Dollars | None = None
    """Output tokens of audio. Default: the same as other output."""
    image_in: Dollars | None = None
    """Input tokens of images. Default: the same as other input."""
    image_out: Dollars | None = None
    """Output tokens of images. Default: the same as other output."""
    reasoning: Dollars | None = None
    """Output tokens of reasoning. Default: the same as other output."""


class PriceTier(Rates):
    """What a call with a long prompt costs instead, all of its tokens. What is left out costs what it costs in the tier below."""

    above: Tokens
    """It holds for calls with more input tokens than this, such as 200k."""


class Price(Rates):
    """What a deployment charges, in USD per million tokens."""

    input: Dollars = Field(alias="in", description="Input tokens.")
    output: Dollars = Field(alias="out", description="Output tokens.")
    request: Dollars = 0.0
    """What each call costs besides its tokens, in USD."""
    image: Dollars | None = None
    """What each image that is made costs, in USD."""
    second: Dollars | None = None
    """What each second of audio that is heard costs, in USD."""
    character: Dollars | None = None
    """What a million characters that are spoken cost, in USD."""
    search: Dollars | None = None
    """What each search of a reranker costs, in USD."""
    web_search: Dollars | None = None
    """What each search of the web that the provider makes for an answer costs, in USD."""
    tiers: Annotated[list[PriceTier], AfterValidator(rising)] = []
    """Other prices for long prompts, the shortest first."""
