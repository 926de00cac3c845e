"""From the files of a folder to a snapshot: read, check, compile each section, and report every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path as FilePath

from gateway.core.deployment import Provider
from gateway.core.money import Price
from gateway.core.session import SessionLimits
from gateway.policy.mistakes import Mistakes
from gateway.policy.sections.alerts import compile_alerts
from gateway.policy.sections.cache import compile_cache
from gateway.policy.sections.cases import Case, compile_cases
from gateway.policy.sections.limit_notes import limit_notes
from gateway.policy.sections.limits import compile_limits
from gateway.policy.sections.models import Tables, compile_models
from gateway.policy.sections.providers import Providers, compile_providers, switched_on
from gateway.policy.sections.replays import Promise, compile_replays
from gateway.policy.sections.routes import compile_routes, route_notes
from gateway.policy.sections.targets import Able, Prices, unknown_abilities
from gateway.policy.sections.templates import Compiled, check_models, compile_templates
from gateway.policy.sections.tenants import compile_tenants
from gateway.policy.sections.trace import compile_trace
from gateway.policy.snapshot import Snapshot
from gateway.policy.source.folder import NONE_STORED, Source, read
from gateway.policy.validate import Valid, validate


def compile_policy(
    folder: FilePath,
    environment: Mapping[str, str],
    prices: Prices,
    able: Able = unknown_abilities,
    stored: Mapping[str, bytes] = NONE_STORED,
) -> Snapshot:
    """The policy of a folder, frozen and fully resolved. Raises PolicyError with every mistake.

    `environment` is what `${NAME}` stands for, `prices` gives the list price of deployments without one of their own, and
    `able` what they can do. `stored` are the files of the templates that the store has.
    """
    draft = _draft(folder, environment, stored)
    snapshot = _assemble(draft, draft.providers, Tables(prices, able))
    draft.mistakes.raise_if_any()
    return snapshot


def rehearse(
    folder: FilePath,
    environment: Mapping[str, str],
    able: Able = unknown_abilities,
    prices: Prices | None = None,
    stored: Mapping[str, bytes] = NONE_STORED,
) -> tuple[Snapshot, tuple[Case, ...]]:
    """The policy with every provider on, and its own tests, whose outcome thus needs no keys. Without `prices` only what has one
    of its own is priced.

    Raises PolicyError with every mistake.
    """
    draft = _draft(folder, environment, stored)
    snapshot = _assemble(draft, switched_on(draft.providers), Tables(prices or _unpriced, able))
    draft.mistakes.raise_if_any()
    return snapshot, draft.cases


@dataclass(frozen=True, slots=True)
class _Draft:
    """A policy whose shape has been checked."""

    source: Source
    mistakes: Mistakes
    valid: Valid
    providers: Providers
    cases: tuple[Case, ...]
    promises: tuple[Promise, ...]
    templates: Compiled


def _draft(folder: FilePath, environment: Mapping[str, str], stored: Mapping[str, bytes]) -> _Draft:
    source = read(folder, environment, stored)
    mistakes = Mistakes(source.document.places, source.document.filled)
    if "version" not in source.document.root:
        mistakes.add((), "'version' is missing; the first line of a policy is `version: 1`")
    valid = validate(source.document, mistakes)
    providers = compile_providers(valid.policy, source.document, mistakes)
    promises = compile_replays(valid.policy, valid.at.get("replay", ()), mistakes)
    templates = compile_templates(valid.policy, source, mistakes)
    cases = compile_cases(valid.policy, valid.at.get("tests", ()), templates.templates, mistakes)
    return _Draft(source, mistakes, valid, providers, cases, promises, templates)


def _assemble(draft: _Draft, providers: Providers, tables: Tables) -> Snapshot:
    policy, document, mistakes = draft.valid.policy, draft.source.document, draft.mistakes
    at = draft.valid.at.get("routes", ())
    models = compile_models(policy, document, providers, tables, mistakes)
    routes = compile_routes(policy, at, models, draft.templates.templates, mistakes)
    check_models(draft.templates, models, routes.aliases, mistakes)
    alerts = compile_alerts(policy, document, mistakes)
    limits = compile_limits(policy, models, routes, draft.templates.templates, alerts.webhook, mistakes)
    templates = draft.templates
    notes = (
        providers.notes(),
        models.notes(),
        route_notes(routes),
        limit_notes(policy, limits, models),
        templates.notes(),
    )
    return Snapshot(
        version=draft.source.version,
        providers=providers.on,
        routes=routes,
        tenants=compile_tenants(policy, document, models.declared | routes.aliases, at, mistakes),
        limits=limits,
        strict=policy.strict,
        cache=compile_cache(policy, routes, models, mistakes),
        realtime=SessionLimits(policy.realtime.longest, policy.realtime.idle),
        trace=compile_trace(policy, mistakes),
        notes=(*chain.from_iterable(notes), *alerts.notes),
        promises=draft.promises,
        templates=templates.templates,
        template_cases=tuple([case for each in templates.written for case in each.cases]),
        shadowed=templates.shadowed,
        keeper=next((each for each in providers.on.values() if each.keeps_files), None),
    )


def _unpriced(_: Provider, __: str) -> Price | None:
    return None
