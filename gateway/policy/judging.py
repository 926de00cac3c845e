"""Tests whose answer a model judges: it is asked only where somebody wants it and there is a key; else they are skipped, and not
passed.

The built-in provider judges always: it needs no network, and its word is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.core import judge
from gateway.core.deployment import Model
from gateway.core.errors import GatewayError
from gateway.policy.schema_template import Judge
from gateway.route.plan import model_named
from gateway.route.rules import Routes
from gateway.upstream.demo import complete

_DEMO = "demo"
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Reply:
    """`cost` in nano-USD, None where it is not known."""

    text: str
    cost: int | None


class Asks(Protocol):
    def ask(self, model: Model, prompt: str) -> Reply:
        """It blocks. Raises GatewayError."""
        ...


class SkippedError(Exception):
    """Nobody was asked; the argument says why."""


@dataclass(slots=True)
class Judging:
    """`routes` are those of the policy as it is, with the keys that there are; without them, or without `asks`, no provider is
    asked. `asked` counts calls to providers, `cost` is theirs in nano-USD, without those of no known price (`unpriced`)."""

    routes: Routes | None = None
    asks: Asks | None = None
    asked: int = 0
    cost: int = 0
    unpriced: int = 0

    def wrong(self, written: Judge, answer: str, models: Routes) -> str | None:
        """What the judge finds wrong, or why it finds nothing; None: it is as expected. `models` are those of the policy with
        every provider on. Raises SkippedError."""
        if len(answer) > judge.LONGEST:
            return f"it is too long for a judge: {len(answer):,} characters, and {judge.LONGEST:,} are shown"
        prompt = judge.yes_or_no(written.asks, answer)
        try:
            said = self._ask(written.model, prompt, models)
        except GatewayError as error:
            return f"the judge {written.model} could not be asked: {error.message}"
        found = judge.verdict(said)
        if found is None:
            return f"the judge {written.model} said neither yes nor no: {_cut(said)}"
        if found is (written.expect == "yes"):
            return None
        word = "yes" if found else "no"
        return f"{written.asks!r}: expected {written.expect}, and {written.model} says {word} of {_cut(answer)}"

    def _ask(self, name: str, prompt: str, models: Routes) -> str:
        """Raises GatewayError, SkippedError."""
        if _is_built_in(model_named(name, models)):
            message = {"role": "user", "content": prompt}
            return str(complete({"model": name, "messages": [message]})["choices"][0]["message"]["content"])
        if self.asks is None or self.routes is None:
            raise SkippedError(f"{name} is asked with `llmgw check --judge`")
        model = model_named(name, self.routes)
        if model is None or not model.deployments:
            raise SkippedError(f"no provider of {name} is switched on")
        self.asked += 1
        reply = self.asks.ask(model, prompt)
        if reply.cost is None:
            self.unpriced += 1
        else:
            self.cost += reply.cost
        return reply.text


def _is_built_in(model: Model | None) -> bool:
    return (
        model is not None
        and bool(model.deployments)
        and all(each.provider.dialect == _DEMO for each in (*model.deployments, *model.fallbacks))
    )


def _cut(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
