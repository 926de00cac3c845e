"""The tenants of the policy: who they are and which models they may ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache

from gateway.core.errors import Forbidden
from gateway.core.tenant import Tenant, VirtualKey


@dataclass(frozen=True, slots=True)
class KeyRule:
    """Narrows the keys whose name fits `pattern` (a shell pattern) to `models`."""

    pattern: str
    models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One level of the tree: an organisation, or a team within one. `models` None narrows nothing."""

    name: str
    models: tuple[str, ...] | None = None
    keys: tuple[KeyRule, ...] = ()
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class Organisation(Member):
    teams: Mapping[str, Member] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tenants:
    """The tenants section of a snapshot. With `declared` False the policy names none: every key's tenant is accepted."""

    organisations: Mapping[str, Organisation] = field(default_factory=dict)
    declared: bool = False


def tenant_of(key: VirtualKey, tenants: Tenants) -> Tenant:
    """Whom the key stands for. Every level that names models narrows what the levels above it allow.

    Raises Forbidden when the policy does not know the tenant, or blocks it.
    """
    caller = caller_of(key)
    try:
        members = _members(caller.org, caller.team or "", tenants) if tenants.declared else ()
    except Forbidden as refused:
        raise refused.of(caller) from None
    levels = [models for member in members for models in _levels(member, key.name)]
    if key.models is not None:
        levels.append(key.models)
    return replace(caller, models=tuple(levels))


def caller_of(key: VirtualKey) -> Tenant:
    """Whose key it is, whatever the policy says of them."""
    org, _, team = key.tenant.partition("/")
    return Tenant(org=org, team=team or None, key_id=key.id, key_name=key.name)


def allows(tenant: Tenant, model: str) -> bool:
    """Whether the tenant may ask for the model: each level names it or has a shell pattern (`gpt-*`) that fits it."""
    return all(model in patterns or _fits(patterns, model) for patterns in tenant.models)


def _members(org: str, team: str, tenants: Tenants) -> tuple[Member, ...]:
    organisation = tenants.organisations.get(org)
    if organisation is None:
        raise Forbidden(f"The key's organisation {org!r} is not in the policy.")
    if organisation.blocked:
        raise Forbidden("The key's organisation is blocked.")
    if not team:
        return (organisation,)
    member = organisation.teams.get(team)
    if member is None:
        raise Forbidden("The key's team is not in the policy.")
    if member.blocked:
        raise Forbidden("The key's team is blocked.")
    return (organisation, member)


def _levels(member: Member, key_name: str) -> Iterator[tuple[str, ...]]:
    if member.models is not None:
        yield member.models
    for rule in member.keys:
        if rule.models is not None and fnmatchcase(key_name, rule.pattern):
            yield rule.models


@lru_cache(maxsize=4096)
def _fits(patterns: tuple[str, ...], model: str) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)
