"""Who plays in the tests of routing: models, calls, and the knowledge that a decision rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from gateway.core.call import Call, Operation
from gateway.core.deployment import ABLE, Abilities, Deployment, Model, Provider
from gateway.core.money import Price
from gateway.core.tenant import Tenant
from gateway.route.candidates import Candidate, Standing
from gateway.route.decision import Circumstances, Held, Pin
from gateway.route.rules import Route

P, Q = Provider("p", "openai"), Provider("q", "openai")
ACME = Tenant("acme", "search", "k1", "billing-1")
CHANCE = Random(1)


def deployment(name: str, weight: int = 1, *, price: Price | None = None, abilities: Abilities = ABLE) -> Deployment:
    """Of the provider that the name begins with."""
    return Deployment(name, {"p": P, "q": Q}[name[0]], name.partition("/")[2], price, weight, abilities)


def model(name: str, *, price: Price | None = None, abilities: Abilities = ABLE) -> Model:
    return Model(name, (deployment(f"p/{name}", price=price, abilities=abilities),))


def user(text: str = "Hello") -> dict[str, Any]:
    return {"role": "user", "content": text}


REPLY = {"role": "assistant", "content": "Hi!"}
RESULT: list[dict[str, Any]] = [
    {
        "role": "assistant",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c", "content": "5"},
]


def call(
    messages: Sequence[Mapping[str, Any]] = (), *, id: str = "r", body: bytes = b"", fields: Any = None, **more: Any
) -> Call:
    written = {"messages": list(messages or [user()]), **(fields or {})}
    return Call(id=id, operation=Operation.CHAT, received=0, model="auto", body=body, fields=written, **more)


def knowing(
    standings: Mapping[str, Standing] | None = None,
    *,
    pin: Pin | None = None,
    sent: int | None = None,
    share: float = 0.0,
) -> Circumstances:
    """How candidates stand, by name, each to be tried in a share of the calls, and who answered before."""

    def held(_: Route, candidate: Candidate, __: str) -> Held:
        return Held((standings or {}).get(candidate.name, Standing.UNCERTIFIED), share, f"of {candidate.name}")

    return Circumstances(chance=CHANCE.random, held=held, pin=lambda _: pin, sent=sent)
