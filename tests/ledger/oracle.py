"""What the provider itself says that calls cost, at the policy's price: the other side of every comparison."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from math import ceil

from tests.faults.openai import asked_by
from tests.faults.oracle import Call

IN, OUT = Decimal("0.1375"), Decimal("0.625")
"""USD per million tokens. The first makes a token cost half a nano-dollar more than a whole number of them."""
PRICE = f"{{in: {IN}, out: {OUT}}}"
MARK = "@@"


def marked(key: str, text: str) -> str:
    """A prompt that tells the provider, and so its count, on whose behalf it was sent."""
    return f"{MARK}{key}{MARK}{text}"


def key_of(call: Call) -> str:
    """The name in the mark; empty without one."""
    parts = call.body.decode("utf-8", "replace").split(MARK)
    return parts[1] if len(parts) > 2 else ""


def tokens(call: Call) -> tuple[int, int]:
    """Input and output, as reported where a usage was sent, else as counted; embeddings have no output."""
    prompt, made = asked_by(call).prompt_tokens, call.produced
    if call.usage is not None:
        prompt, made = call.usage["prompt_tokens"], call.usage["completion_tokens"]
    return prompt, 0 if call.path.endswith("/embeddings") else made


def cost(call: Call) -> int:
    """In nano-USD, rounded up once. A call that was never answered costs nothing."""
    prompt, made = tokens(call)
    return price(prompt, made) if call.bytes_written else 0


def price(prompt: int, made: int) -> int:
    return ceil((prompt * Fraction(IN) + made * Fraction(OUT)) * 1000)


def costs(calls: Iterable[Call]) -> int:
    return sum(cost(call) for call in calls)
