"""The stage of a call that puts a template round it, with what this worker knows besides the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Protocol

from gateway.core.call import Call
from gateway.core.prompt import ByRoute
from gateway.core.span import SpanContext
from gateway.core.tenant import Tenant
from gateway.template.apply import apply
from gateway.template.choose import Choice, choose
from gateway.template.engine import Engine
from gateway.template.rollout.rollouts import OVERRIDE, Held
from gateway.template.rollout.shadow import Shadows
from gateway.template.rules import PRODUCTION, Rollout, Template, Unit
from gateway.template.wanted import unknown, wanted


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of a snapshot, by name, and what renders them."""

    named: Mapping[str, Template] = field(default_factory=dict)
    engine: Engine = field(default_factory=Engine)


class Judge(Protocol):
    """Gets the record of a call, and whether its caller found the answer good."""

    def __call__(self, row: Mapping[str, Any], *, is_good: bool) -> None: ...


class Memory(Protocol):
    """Which version a conversation began with, as far as anybody remembers."""

    async def find(self, key: str) -> str | None: ...

    def keep(self, key: str, value: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation: its digest, and whether nobody has answered in it yet."""

    id: str
    is_new: bool


def _no_word(row: Mapping[str, Any], *, is_good: bool) -> None:
    """Nobody counts what callers say."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """One for each worker. `talk` says to which conversation a call belongs, `held` what of a template is in force, `judge` hears
    callers' words on answers, with the record of the call, and `shadows` asks other versions beside calls."""

    talk: Callable[[Call, Tenant], Talk]
    memory: Memory
    held: Callable[[Template], Held] = Held
    judge: Judge = _no_word
    shadows: Shadows | None = None

    async def apply(self, call: Call, tenant: Tenant, templates: Templates, by_route: ByRoute | None = None) -> Call:
        """The call with the template that it or its route asks for, or the same call where none does.

        Raises NotFound and InvalidRequest: what asks for a template never goes out without it.
        """
        asks = wanted(call, by_route)
        if asks is None:
            return call
        template = find(templates, asks.name, tenant)
        if template is None:
            raise unknown(_asked(asks.name, asks.version))
        choice, unit = await self._choose(template, asks.version, call, tenant)
        if choice is None:
            raise unknown(_asked(asks.name, asks.version))
        return apply(call, asks, template, choice, templates.engine, unit=unit)

    def beside(self, call: Call, model: str, templates: Templates, span: SpanContext) -> None:
        """Starts what is asked beside a call that was answered, by this model."""
        if self.shadows is not None and call.prompt is not None:
            self.shadows.begin(call, model, templates.named.get(call.prompt.name), templates.engine, span)

    async def _choose(
        self, template: Template, asked: str | None, call: Call, tenant: Tenant
    ) -> tuple[Choice | None, str]:
        held = self.held(template)
        template, rollout = held.template, held.template.rollout
        if rollout is None or asked not in (None, PRODUCTION):
            return choose(template, asked, ""), ""
        unit, is_new = self._unit(rollout, call, tenant)
        key = f"{template.name}\0{rollout.salt}\0{unit}"
        kept = None
        if rollout.by is Unit.CONVERSATION and (not is_new or call.conversation is not None):
            kept = await self._kept(key)
        choice = choose(template, asked, unit, stepped_back=held.stepped_back, kept=kept)
        if choice is not None and held.is_overridden:
            choice = replace(choice, reason=OVERRIDE)
        may_go_on = call.conversation is not None or bool(call.fields.get("messages"))
        if choice is not None and rollout.by is Unit.CONVERSATION and may_go_on:
            self.memory.keep(key, str(choice.version.number))
        return choice, unit

    def _unit(self, rollout: Rollout, call: Call, tenant: Tenant) -> tuple[str, bool]:
        """Who keeps the version; a call that names no end user is drawn for by its conversation."""
        if rollout.by is Unit.USER and call.user is not None:
            return unit_of_user(tenant, call.user), False
        talk = self.talk(call, tenant)
        return talk.id, talk.is_new

    async def _kept(self, key: str) -> int | None:
        found = await self.memory.find(key)
        return int(found) if found is not None and found.isdigit() else None


def find(templates: Templates, name: str, tenant: Tenant) -> Template | None:
    """The template of that name, if there is one that this tenant may use."""
    template = templates.named.get(name)
    if template is None or (template.tenants and template.tenants.isdisjoint((tenant.org, tenant.name))):
        return None
    return template


def unit_of_user(tenant: Tenant, user: str) -> str:
    """What versions are drawn by for an end user."""
    parts = "\0".join((tenant.org, tenant.team or "", user))
    return blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _asked(name: str, version: str | None) -> str:
    return name if version is None else f"{name}@{version}"
