"""From a call to a plan: which route fits, which model answers, and the order in which its deployments are tried."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from random import Random

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Model, Strategy
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.prompt import ByRoute
from gateway.core.tenant import Tenant
from gateway.route.abilities import able
from gateway.route.choose import choose, plain
from gateway.route.conversation import Conversation
from gateway.route.decision import Circumstances, Decision, Memory
from gateway.route.rules import Match, Route, Routes
from gateway.route.strategies import Seen, drawn, ranked


def decide(
    call: Call, tenant: Tenant, routes: Routes, given: Circumstances, conversation: Conversation | None = None
) -> Decision:
    """The first route that fits the call says who answers, or else the model it names does. `conversation` is the call's, where
    it is known without its messages.

    Raises NotFound, in the same words for a model that does not exist and one that the caller may not use; and InvalidRequest
    where whoever would answer surely cannot.
    """
    return settle(find(call, tenant, routes, given), call, tenant, given, conversation)


def find(call: Call, tenant: Tenant, routes: Routes, given: Circumstances) -> Route | Model:
    """The first route that fits the call, or else the model it names. Raises NotFound as `decide` does."""
    named = check(call.model, tenant, routes)
    if call.prompt is not None and call.prompt.route is not None:
        for route in routes.rules:
            if route.name == call.prompt.route:
                return route
    for route in () if call.is_own else routes.rules:
        if fits(route.match, call, tenant, given):
            return route
    if named is None:
        raise unknown_model(call.model)
    return named


def template(call: Call, tenant: Tenant, routes: Routes, given: Circumstances) -> ByRoute | None:
    """The template of the first route that fits the call as the client sent it, where that has one and the client names none.
    Raises NotFound as `decide` does."""
    if not routes.puts_templates or call.template is not None or call.is_own or call.operation is not Operation.CHAT:
        return None
    if call.model.startswith("template:"):
        return None
    found = find(call, tenant, routes, given)
    return ByRoute(found.name, found.template) if isinstance(found, Route) and found.template is not None else None


def check_template(found: Route | Model, call: Call) -> None:
    """No call takes a route without the template that this puts round it. Raises InvalidRequest."""
    wanted = found.template if isinstance(found, Route) else None
    if wanted is None:
        return
    name = found.name
    if call.operation is not Operation.CHAT:
        raise InvalidRequest(
            f"the route {name!r} has a template, and templates are for chat completions",
            code="template_unsupported",
            param="template",
        )
    if not _has_template(call, wanted, name):
        raise InvalidRequest(
            f"the route {name!r} has a template of its own, and takes no calls with another one: leave yours out",
            code="template_conflict",
            param="template",
        )


def _has_template(call: Call, wanted: str, route: str) -> bool:
    """Where the route names a version, it is that one."""
    prompt = call.prompt
    if prompt is None:
        return False
    if "@" not in wanted:
        return prompt.name == wanted
    return prompt.route == route or wanted in (call.template, prompt.label)


def settle(
    found: Route | Model, call: Call, tenant: Tenant, given: Circumstances, conversation: Conversation | None = None
) -> Decision:
    """Who answers, of the route or by the model that was found; `conversation` is the call's, where it is known already.
    Raises InvalidRequest as `decide` does."""
    if isinstance(found, Model):
        return plain(found, call, tenant, given)
    return choose(found, call, tenant, given, conversation)


def check(name: str, tenant: Tenant, routes: Routes) -> Model | None:
    """The model of that name, or None if only routes know it. Raises NotFound as `decide` does."""
    model = model_named(name, routes)
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
        and (match.time is None or (given.now is not None and given.now in match.time))
        and (match.tokens_in is None or given.tokens_in() in match.tokens_in)
    )


def order(
    model: Model,
    random: Random,
    call: Call | None = None,
    seen: Seen | None = None,
    decision: Decision | None = None,
) -> tuple[Deployment, ...]:
    """The model's deployments, by its strategy or drawn by weight, and then its fallbacks as they are listed.

    Without those that surely cannot serve the call; and in a conversation that was decided about, first the deployment that
    it began with, if it has to keep that.
    """
    conversation = None if decision is None else decision.conversation
    deployments: Sequence[Deployment] = model.deployments
    if len(deployments) > 1:
        deployments = drawn(model, random, conversation if model.is_sticky else None)
        if call is not None and seen is not None and model.strategy is not Strategy.WEIGHTED:
            deployments = ranked(model.strategy, deployments, call, seen, random)
    planned = (*deployments, *model.fallbacks)
    if decision is not None and decision.memory is not None:
        is_kept = call is not None and bool(call.fields.get("previous_response_id"))
        planned = _continued(planned, model, decision.memory, is_kept=is_kept)
    return planned if call is None else able(planned, call, None if decision is None else decision.sent)


def _continued(
    planned: tuple[Deployment, ...], model: Model, memory: Memory, *, is_kept: bool
) -> tuple[Deployment, ...]:
    """First the deployment that answered before. Where the conversation is bound to it, only those follow that can go on: of its
    provider, or, unless the last answer `is_kept` there, of another dialect, which leaves out what was sealed."""
    before = next((each for each in planned if memory.pin is not None and each.name == memory.pin.deployment), None)
    if before is None or not (memory.is_bound or model.is_sticky):
        return planned
    others = tuple([each for each in planned if each is not before])
    if memory.is_bound:
        near = [each for each in others if each.provider is before.provider]
        others = (*near, *(each for each in others if not is_kept and each.provider.dialect != before.provider.dialect))
    return (before, *others)


def may_use(tenant: Tenant, model: str) -> bool:
    """Whether every level that narrows the tenant's models lets this one through."""
    return all(_any(patterns, model) for patterns in tenant.models)


def unknown_model(name: str) -> NotFound:
    return NotFound(
        f"The model {name[:64]!r} does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )


def model_named(name: str, routes: Routes) -> Model | None:
    """Also one that a wildcard stands for. Raises NotFound."""
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
