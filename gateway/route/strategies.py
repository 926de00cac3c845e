"""How the deployments of a model are ordered: by weight, and before that by what they cost, how fast or how busy they are.

Those of weight 0 stand behind the others, in every strategy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import Protocol

from gateway.core.call import Call
from gateway.core.deployment import Deployment, Model, Strategy
from gateway.core.money import Price

EXPLORED = 0.05
"""The share of calls in which `fastest` tries a deployment of which it knows nothing, or nothing new."""
BYTES_PER_TOKEN = 4
"""Of ordinary text."""
OUTPUT = 256
"""Output tokens of an ordinary answer, for comparing prices; fewer where the client has capped them."""
_LARGE = 1e300
_MILLION = 1_000_000
_WORD = (1 << 64) - 1


class Seen(Protocol):
    """What is known of how deployments do, by name."""

    def busy(self, deployment: str) -> int:
        """Calls under way there."""
        ...

    def first_token(self, deployment: str, *, stream: bool) -> float | None:
        """Seconds; None where it is not known."""
        ...

    def is_fresh(self, deployment: str, *, stream: bool) -> bool: ...


def drawn(model: Model, random: Random, conversation: str | None = None) -> list[Deployment]:
    """By weight, without putting back. With a conversation the draw is always the same for it, and where a deployment comes
    or goes only those conversations move that it takes or leaves (rendezvous hashing)."""

    number = random.random if conversation is None else None
    seed = 0 if conversation is None else _digest(conversation)

    def lot(each: Deployment) -> float:
        weight = each.weight
        if not weight:
            return -1.0
        drawn = _mixed(seed ^ _digest_of_name(each.name)) if number is None else number()
        return drawn if weight == 1 else math.pow(drawn, 1 / weight)

    return sorted(model.deployments, key=lot, reverse=True)


def ranked(
    strategy: Strategy, deployments: Sequence[Deployment], call: Call, seen: Seen, random: Random
) -> list[Deployment]:
    """The deployments, as drawn by weight, in the strategy's order; equal ones keep theirs."""
    match strategy:
        case Strategy.WEIGHTED:
            return list(deployments)
        case Strategy.CHEAPEST:
            return _cheapest(deployments, call)
        case Strategy.LEAST_BUSY:
            return sorted(deployments, key=lambda each: seen.busy(each.name) if each.weight else math.inf)
        case Strategy.FASTEST:
            return _fastest(deployments, call, seen, random)


def tokens(call: Call) -> tuple[int, int]:
    """About how many tokens a call has, input and output, without counting."""
    return len(call.body) // BYTES_PER_TOKEN, min(call.output_cap or OUTPUT, OUTPUT)


def _cheapest(deployments: Sequence[Deployment], call: Call) -> list[Deployment]:
    """Those without a price last."""
    sent, made = tokens(call)

    def rank(each: Deployment) -> float:
        if not each.weight:
            return math.inf
        return _LARGE if each.price is None else cost(each.price, sent, made)

    return sorted(deployments, key=rank)


def cost(price: Price, sent: int, made: int) -> int:
    """Of so many tokens of text, in nano-USD per million, for comparing."""
    rates = in_tier(price, sent) if price.tiers else price
    return sent * rates.input + made * rates.output + price.request * _MILLION


def in_tier(price: Price, sent: int) -> Price:
    """What holds for prompts of so many tokens."""
    rates = price
    for above, tier in price.tiers:
        if sent > above:
            rates = tier
    return rates


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


_digest_of_name = lru_cache(maxsize=4096)(_digest)


def _mixed(number: int) -> float:
    """From 0 to below 1, evenly spread over numbers of 64 bits (the finaliser of splitmix64, Steele and others, 2014)."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _WORD
    return (number ^ number >> 31) / (1 << 64)


def _fastest(deployments: Sequence[Deployment], call: Call, seen: Seen, random: Random) -> list[Deployment]:
    """Those of which nothing is known stand behind those of which something is, but for the calls that explore."""

    stream = call.stream

    def wait(each: Deployment) -> float:
        if not each.weight:
            return math.inf
        seconds = seen.first_token(each.name, stream=stream)
        return _LARGE if seconds is None else seconds

    ordered = sorted(deployments, key=wait)
    if random.random() < EXPLORED:
        for each in deployments:
            if each.weight and not seen.is_fresh(each.name, stream=stream):
                ordered.remove(each)
                return [each, *ordered]
    return ordered
