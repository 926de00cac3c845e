"""How the deployments of a model are ordered: by weight, and before that by what they cost, how fast or how busy they are.

Those of weight 0 stand behind the others, in every strategy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from gateway.core.call import Call
from gateway.core.deployment import Deployment, Model, Strategy
from gateway.route.conversation import draw

EXPLORED = 0.05
"""The share of calls in which `fastest` tries a deployment of which it knows nothing, or nothing new."""
BYTES_PER_TOKEN = 4
"""Of ordinary text."""
OUTPUT = 256
"""Output tokens of an ordinary answer, for comparing prices; fewer where the client has capped them."""


class Seen(Protocol):
    """What is known of how deployments do, by name."""

    def busy(self, deployment: str) -> int:
        """Calls under way there."""
        ...

    def first_token(self, deployment: str, *, stream: bool) -> float | None:
        """Seconds; None where it is not known."""
        ...

    def is_fresh(self, deployment: str, *, stream: bool) -> bool: ...


class Costs(Protocol):
    def cost(self, deployment: Deployment, *, sent: int, made: int) -> int:
        """In nano-USD, of so many tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What strategies other than `weighted` rest on."""

    seen: Seen
    costs: Costs


def drawn(model: Model, random: Random, conversation: str | None = None) -> list[Deployment]:
    """By weight, without putting back. With a conversation the draw is always the same for it, and where a deployment comes
    or goes only those conversations move that it takes or leaves (rendezvous hashing)."""

    def lot(each: Deployment) -> float:
        if not each.weight:
            return -1.0
        number = random.random() if conversation is None else draw("deployment", conversation, each.name)
        return math.pow(number, 1 / each.weight)

    return sorted(model.deployments, key=lot, reverse=True)


def ranked(
    strategy: Strategy, deployments: Sequence[Deployment], call: Call, known: Known, random: Random
) -> list[Deployment]:
    """The deployments, as drawn by weight, in the strategy's order; equal ones keep theirs."""
    match strategy:
        case Strategy.WEIGHTED:
            return list(deployments)
        case Strategy.CHEAPEST:
            return _cheapest(deployments, call, known.costs)
        case Strategy.LEAST_BUSY:
            return sorted(deployments, key=lambda each: (not each.weight, known.seen.busy(each.name)))
        case Strategy.FASTEST:
            return _fastest(deployments, call, known.seen, random)


def tokens(call: Call) -> tuple[int, int]:
    """About how many tokens a call has, input and output, without counting."""
    return len(call.body) // BYTES_PER_TOKEN, min(call.output_cap or OUTPUT, OUTPUT)


def _cheapest(deployments: Sequence[Deployment], call: Call, costs: Costs) -> list[Deployment]:
    """Those without a price last."""
    sent, made = tokens(call)

    def cost(each: Deployment) -> tuple[bool, bool, int]:
        return not each.weight, each.price is None, costs.cost(each, sent=sent, made=made)

    return sorted(deployments, key=cost)


def _fastest(deployments: Sequence[Deployment], call: Call, seen: Seen, random: Random) -> list[Deployment]:
    """Those of which nothing is known stand behind those of which something is, but for the calls that explore."""

    def wait(each: Deployment) -> tuple[bool, float]:
        seconds = seen.first_token(each.name, stream=call.stream)
        return not each.weight, float("inf") if seconds is None else seconds

    ordered = sorted(deployments, key=wait)
    if random.random() < EXPLORED:
        for each in deployments:
            if each.weight and not seen.is_fresh(each.name, stream=call.stream):
                ordered.remove(each)
                return [each, *ordered]
    return ordered
