"""Money is an integer of nano-dollars (1 USD = 10**9), rounded up once, when a call is priced."""

from __future__ import annotations

from dataclasses import dataclass

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a deployment charges, in nano-USD per million tokens. `cached_input` is None when cached tokens cost the same."""

    input: int
    output: int
    cached_input: int | None = None


FREE = Price(input=0, output=0)


def usd(nano: int) -> str:
    """Nano-dollars as a decimal number of dollars without exponent, such as 0.000123."""
    text = f"{nano / NANO:.9f}" if nano < NANO * 1000 else f"{nano // NANO}.{nano % NANO:09d}"
    return text.rstrip("0").rstrip(".") or "0"
