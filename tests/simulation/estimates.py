"""What calls of the simulation look like, and what they cost: a token of output is four characters."""

from __future__ import annotations

import asyncio
from random import Random

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment
from gateway.core.money import Price
from gateway.core.usage import Usage

SENT_BOUND = "sent"
SENT = "really sent"
CHOICES = "n"
CAP = "max_tokens"


class Bounds:
    """needs.Estimates."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def sent(self, call: Call, deployment: Deployment) -> int:
        return int(call.fields[SENT_BOUND])

    async def sent_closely(self, call: Call, deployment: Deployment) -> int | None:
        if int(call.fields[SENT]) % 2:
            return None
        await asyncio.sleep(0.001)
        return min(self.sent(call, deployment), int(call.fields[SENT]) * 11 // 10 + 1)

    def guess_sent(self, call: Call) -> int:
        return int(call.fields[SENT]) // 2

    def choices(self, call: Call) -> int:
        return int(call.fields[CHOICES])

    def asked_output(self, call: Call) -> int | None:
        cap = call.fields[CAP]
        return None if cap is None else int(cap)

    def cap_is_told(self, call: Call, deployment: Deployment) -> bool:
        return True

    async def count(self, text: str, deployment: Deployment) -> int:
        if self._random.random() < 0.1:
            await asyncio.sleep(0.001)
        return len(text) // 4

    def ceiling(self, call: Call, deployment: Deployment, *, sent: int, made: int) -> int | None:
        return self.cost(deployment, sent=sent, made=made)

    def boundless(self, call: Call, deployment: Deployment) -> None:
        return None

    def cost(self, deployment: Deployment, *, sent: int, made: int) -> int:
        price = deployment.price or Price(0, 0)
        return sent * price.input + made * price.output


class Charge:
    """hold.Bill."""

    def __init__(self, usage: Usage, cost: int) -> None:
        self.usage = usage
        self.cost = cost


def random_call(random: Random, number: int) -> Call:
    sent = random.choice((3, 20, 200, 1500))
    stream = random.random() < 0.6
    fields = {
        SENT: sent,
        SENT_BOUND: sent * random.choice((1, 2, 4)) + 10,
        CHOICES: random.choice((1, 1, 1, 1, 2)),
        CAP: random.choice((None, 1, 16, 100, 500, 3000, *([20_000] if stream else []))),
        "user": random.choice((None, "ann", "bob")),
    }
    return Call(f"call {number}", Operation.CHAT, 0.0, "model", b"", fields, stream=stream)
