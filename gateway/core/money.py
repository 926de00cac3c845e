"""Money is an integer of nano-dollars (1 USD = 10**9), rounded up once, when a call is priced."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a deployment charges: nano-USD per million tokens of each kind, and nano-USD per `request`.

    `unit` is nano-USD for each image, second of audio, character of speech or search, whichever the deployment sells; where it
    sells tokens too, for answers whose tokens are not told.
    `web_search` is nano-USD for each search of the web that the provider makes for an answer; None: not known.
    A kind that is None costs what other input or output costs, and `cache_write_1h` what `cache_write` costs. `tiers` are pairs,
    rising: a call with more input tokens than the first says costs what the second says, all of its tokens.
    """

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    reasoning: int | None = None
    request: int = 0
    unit: int = 0
    web_search: int | None = None
    tiers: tuple[tuple[int, Price], ...] = ()


FREE = Price(input=0, output=0)


def nano(dollars: Decimal | float) -> int:
    """Nano-dollars, rounded up; a float counts as the decimal number it is printed as."""
    return int((Decimal(str(dollars)) * NANO).to_integral_value(rounding=ROUND_CEILING))


def usd(nano: int) -> str:
    """Nano-dollars as a decimal number of dollars without exponent, such as 0.000123."""
    text = f"{nano / NANO:.9f}" if nano < NANO * 1000 else f"{nano // NANO}.{nano % NANO:09d}"
    return text.rstrip("0").rstrip(".") or "0"
