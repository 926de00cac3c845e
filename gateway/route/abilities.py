"""Which deployments surely cannot serve a call: they lack what it uses, or its prompt is too long for them.

What is not known of a deployment it can do. Token counts are estimates, so a prompt is too long for certain only when it is by
a margin; one that may be too long is tried elsewhere first, and what the provider says of it holds.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Model
from gateway.core.errors import InvalidRequest

BYTES_PER_TOKEN = 2
"""No prompt has more tokens than its bytes make at this rate, but for texts that are left to the provider to refuse."""
MARGIN = 4
"""Our count may be too high by one part in so many."""
CONTEXT = "context"
"""What a deployment lacks for which the prompt is too long."""

_PARAMETERS = {
    "tools": "tools",
    "json_schema": "response_format",
    "json_object": "response_format",
    "n": "n",
    "logprobs": "logprobs",
}
"""The parameter that asks for a feature; what is not here stands in the messages."""


def may_be_long(models: Iterable[Model], call: Call) -> bool:
    """Whether the prompt must be counted to know who can serve the call."""
    return any(
        room is not None and len(call.body) > room * BYTES_PER_TOKEN
        for model in models
        for each in (*model.deployments, *model.fallbacks)
        if (room := _room(each, call)) is not None
    )


def obstacle(model: Model, call: Call, sent: int | None) -> str | None:
    """Why no deployment of the model can serve the call: a word of FEATURES, or `context`; None if one may.

    `sent` are its input tokens, None if it is not long.
    """
    found: str | None = None
    for each in (*model.deployments, *model.fallbacks):
        lack = _lack(each, call, sent)
        if lack is None:
            return None
        found = found if found not in (None, CONTEXT) else lack
    return found


def able(deployments: Iterable[Deployment], call: Call, sent: int | None) -> tuple[Deployment, ...]:
    """Those that may serve the call, in their order, but first those of which it is not doubtful that the prompt fits."""
    found = tuple([each for each in deployments if _lack(each, call, sent) is None])
    if sent is None:
        return found
    return tuple(sorted(found, key=lambda each: (room := _room(each, call)) is not None and sent > room))


def refusal(model: Model, call: Call, lack: str, sent: int | None) -> InvalidRequest:
    """What a client is told whose call nobody can serve."""
    if lack == CONTEXT:
        rooms = [room for each in (*model.deployments, *model.fallbacks) if (room := _room(each, call)) is not None]
        return InvalidRequest(
            f"The prompt is too long for {model.name!r}: it has about {sent:,} tokens, and {max(rooms):,} fit.",
            code="context_length_exceeded",
            param="messages",
        )
    return InvalidRequest(
        f"The model {model.name!r} does not support {lack!r}, which the call uses.",
        code="unsupported_parameter",
        param=_PARAMETERS.get(lack, "messages"),
    )


def _lack(deployment: Deployment, call: Call, sent: int | None) -> str | None:
    lacks = deployment.abilities.lacks
    if lacks and call.has and (missing := lacks & call.has):
        return min(missing)
    if sent is None:
        return None
    room = _room(deployment, call)
    return CONTEXT if room is not None and sent - sent // MARGIN > room else None


def _room(deployment: Deployment, call: Call) -> int | None:
    """The input tokens that fit beside the output that the client wants; None where that is not known."""
    abilities = deployment.abilities
    if call.operation is not Operation.CHAT:
        return None
    if abilities.context is None:
        return abilities.prompt
    left = max(0, abilities.context - (call.output_cap or 0))
    return left if abilities.prompt is None else min(left, abilities.prompt)
