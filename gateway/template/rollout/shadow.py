"""A new version that is asked beside calls: in the background, after the client has its answer; nobody is served what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Protocol

import orjson

from gateway.core.call import Call
from gateway.core.errors import GatewayError
from gateway.core.prompt import ByRoute, Prompt
from gateway.core.span import SpanContext
from gateway.core.tasks import AGAIN, Tasks
from gateway.template.apply import apply
from gateway.template.choose import Choice
from gateway.template.engine import Engine
from gateway.template.rollout.outcome import SHADOW
from gateway.template.rollout.rollouts import Held
from gateway.template.rules import Shadow, Template
from gateway.template.wanted import wanted

MOST = 32
"""Calls under way; beside more, none is asked."""
_SHARED_OUT = frozenset({"rollout", "sticky", "stepped_back"})
_FIELDS_OF_STREAMS = frozenset({"stream", "stream_options"})


class Asks(Protocol):
    """The calls that the gateway makes for itself."""

    async def answer(
        self,
        model: str,
        fields: Mapping[str, Any],
        *,
        tag: str,
        account: str,
        context: SpanContext,
        prompt: Prompt | None = None,
    ) -> dict[str, Any]:
        """The chat completion. `account` is on whose account it is asked. Raises GatewayError."""
        ...


def account_of(template: Template) -> str:
    """On which a shadow's calls are asked."""
    return f"shadow of template {template.name}"


class Shadows:
    """One for each worker. `held` says what of a template is in force. What `random` draws must not be foreseen by who calls."""

    def __init__(self, asks: Asks, held: Callable[[Template], Held], tasks: Tasks, random: Random) -> None:
        self._asks = asks
        self._held = held
        self._tasks = tasks
        self._random = random
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def begin(self, call: Call, model: str, template: Template | None, engine: Engine, span: SpanContext) -> None:
        """The call has been answered, by this model. Returns at once."""
        prompt = call.prompt
        if prompt is None or template is None or prompt.reason not in _SHARED_OUT:
            return
        rollout = self._held(template).template.rollout
        shadow = None if rollout is None else rollout.shadow
        if shadow is None or self._is_closed or len(self._under_way) >= MOST or self._random.random() >= shadow.share:
            return
        task = self._tasks.start(self._ask(call, prompt, model, template, shadow, engine, span), name="shadow")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Ends those under way, each of which pays and gives back what it holds, and begins no more."""
        self._is_closed = True
        while self._under_way:
            for task in self._under_way:
                task.cancel()
            await asyncio.wait(self._under_way, timeout=AGAIN)

    async def _ask(
        self,
        call: Call,
        prompt: Prompt,
        model: str,
        template: Template,
        shadow: Shadow,
        engine: Engine,
        span: SpanContext,
    ) -> None:
        try:
            again = _with(call, prompt, template, shadow, engine)
            fields = {name: value for name, value in again.fields.items() if name not in _FIELDS_OF_STREAMS}
            await self._asks.answer(
                model, fields, tag=SHADOW, account=account_of(template), context=span, prompt=again.prompt
            )
        except GatewayError:
            return  # its record tells it, and the version's figures


def _with(call: Call, prompt: Prompt, template: Template, shadow: Shadow, engine: Engine) -> Call:
    """What the client sent, with the other version round it. Raises GatewayError."""
    fields = orjson.loads(prompt.asked)
    sent = replace(call, model=fields["model"], body=prompt.asked, fields=fields, prompt=None)
    by_route = None if prompt.route is None else ByRoute(prompt.route, template.name)
    asks = wanted(sent, by_route)
    assert asks is not None
    return apply(sent, asks, template, Choice(template.versions[shadow.version], SHADOW), engine)
