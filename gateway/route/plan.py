"""From a call to a plan: which route fits, which model answers, and the order in which its deployments are tried."""

from __future__ import annotations

from fnmatch import fnmatchcase
from random import Random

from gateway.core.call import Call
from gateway.core.deployment import Deployment, Model
from gateway.core.errors import NotFound
from gateway.core.tenant import Tenant
from gateway.route.choose import choose
from gateway.route.conversation import Conversation
from gateway.route.decision import Circumstances, Decision
from gateway.route.rules import Match, Routes


def decide(
    call: Call, tenant: Tenant, routes: Routes, given: Circumstances, conversation: Conversation | None = None
) -> Decision:
    """The first route that fits the call says who answers, or else the model it names does. `conversation` is the call's, where
    it is known without its messages.

    Raises NotFound, in the same words for a model that does not exist and one that the caller may not use.
    """
    named = check(call.model, tenant, routes)
    for route in () if call.is_own else routes.rules:
        if fits(route.match, call, tenant, given):
            return choose(route, call, tenant, given, conversation)
    if named is None:
        raise unknown_model(call.model)
    return Decision(route=None, model=named)


def check(name: str, tenant: Tenant, routes: Routes) -> Model | None:
    """The model of that name, or None if only routes know it. Raises NotFound as `decide` does."""
    model = _named(name, routes)
    if (model is None and name not in routes.aliases) or not may_use(tenant, name):
        raise unknown_model(name)
    return model


def visible(tenant: Tenant, routes: Routes) -> list[str]:
    """The names the tenant may ask for, sorted; what a wildcard stands for is not known and so not listed."""
    return sorted(name for name in {*routes.models, *routes.aliases} if may_use(tenant, name))


def fits(match: Match, call: Call, tenant: Tenant, given: Circumstances) -> bool:
    """Whether every condition of `match` holds, the cheap ones asked first."""
    return (
        (not match.models or _any(match.models, call.model))
        and (match.stream is None or match.stream == call.stream)
        and match.has <= call.has
        and match.has_not.isdisjoint(call.has)
        and match.tags <= set(call.tags)
        and (not match.keys or _any(match.keys, tenant.key_name))
        and (not match.tenants or _any(match.tenants, tenant.name))
        and all(_header(call, name, pattern) for name, pattern in match.headers)
        and (match.time is None or given.now in match.time)
        and (match.tokens_in is None or given.tokens_in() in match.tokens_in)
    )


def order(model: Model, random: Random) -> tuple[Deployment, ...]:
    """The model's deployments, drawn by weight without putting back, and then its fallbacks as they are listed."""
    deployments = model.deployments
    if len(deployments) < 2:
        return deployments + model.fallbacks
    drawn = sorted(
        deployments, key=lambda each: random.random() ** (1 / each.weight) if each.weight else -1, reverse=True
    )
    return (*drawn, *model.fallbacks)


def may_use(tenant: Tenant, model: str) -> bool:
    """Whether every level that narrows the tenant's models lets this one through."""
    return all(_any(patterns, model) for patterns in tenant.models)


def unknown_model(name: str) -> NotFound:
    return NotFound(
        f"The model {name[:64]!r} does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )


def _named(name: str, routes: Routes) -> Model | None:
    model = routes.models.get(name)
    if model is None:
        for pattern, resolve in routes.wildcards:
            if fnmatchcase(name, pattern):
                return resolve(name)
    return model


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return name in patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _header(call: Call, name: bytes, pattern: str) -> bool:
    value = call.headers.get(name)
    return value is not None and fnmatchcase(value.decode("latin-1"), pattern)
