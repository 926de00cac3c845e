"""The compiled, frozen policy that a call keeps from its beginning to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.auth.tenants import Tenants
from gateway.budget.limits import Limits
from gateway.cache.rules import CacheRules
from gateway.core.deployment import Provider
from gateway.core.session import SessionLimits
from gateway.policy.sections.replays import Promise
from gateway.policy.sections.template_cases import TemplateCase
from gateway.route.rules import Routes
from gateway.template.prompts import Templates
from gateway.trace.rules import TraceRules


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`version` is a hash of the files and of the stored templates; `shadowed` names those of these that do not count, and the
    file that counts in their place. `notes` say what was left out and why, such as a provider without its key. `promises` are
    what `llmgw replay` is to check, and `template_cases` the tests of templates. `keeper` keeps tenants' files."""

    version: str
    providers: Mapping[str, Provider]
    routes: Routes
    tenants: Tenants
    limits: Limits = field(default_factory=Limits)
    strict: bool = False
    cache: CacheRules = field(default_factory=CacheRules)
    realtime: SessionLimits = field(default_factory=SessionLimits)
    trace: TraceRules = field(default_factory=TraceRules)
    notes: tuple[str, ...] = ()
    promises: tuple[Promise, ...] = ()
    templates: Templates = field(default_factory=Templates)
    template_cases: tuple[TemplateCase, ...] = ()
    shadowed: Mapping[str, str] = field(default_factory=dict)
    keeper: Provider | None = None
