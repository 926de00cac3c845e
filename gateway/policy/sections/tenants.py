"""Tenants: organisations and their teams, and the models each may ask for."""

from __future__ import annotations

from collections.abc import Sequence, Set
from fnmatch import fnmatchcase

from gateway.auth.tenants import KeyRule, Member, Organisation, Tenants
from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.shapes import listed
from gateway.policy.source.document import Document

_PATTERN = frozenset("*?[")


def compile_tenants(
    policy: schema.Policy, document: Document, models: Set[str], at: Sequence[int], mistakes: Mistakes
) -> Tenants:
    """`models` are all names a tenant may be given; `at` is the position of each route, which may name tenants."""
    organisations = {name: _organisation(name, written, models, mistakes) for name, written in policy.tenants.items()}
    if "tenants" in document.root:
        _note_unknown(policy, at, document, mistakes)
    return Tenants(organisations=organisations, declared="tenants" in document.root)


def _organisation(name: str, written: schema.Tenant, models: Set[str], mistakes: Mistakes) -> Organisation:
    path: Path = ("tenants", name)
    _check_name(name, path, mistakes)
    teams: dict[str, Member] = {}
    for team, inner in written.teams.items():
        _check_name(team, (*path, "teams", team), mistakes)
        teams[team] = Member(
            name=team,
            models=_models(inner.models, (*path, "teams", team, "models"), models, mistakes),
            keys=_keys(inner, (*path, "teams", team), models, mistakes),
            blocked=inner.blocked,
        )
    return Organisation(
        name=name,
        models=_models(written.models, (*path, "models"), models, mistakes),
        keys=_keys(written, path, models, mistakes),
        blocked=written.blocked,
        teams=teams,
    )


def _check_name(name: str, path: Path, mistakes: Mistakes) -> None:
    if "/" in name:
        mistakes.add(path, "a tenant's name has no `/`; teams stand under `teams`", key=True)


def _keys(written: schema.Team, path: Path, models: Set[str], mistakes: Mistakes) -> tuple[KeyRule, ...]:
    return tuple(
        KeyRule(key.name, _models(key.models, (*path, "keys", index, "models"), models, mistakes))
        for index, key in enumerate(written.keys)
    )


def _models(written: list[str] | None, path: Path, models: Set[str], mistakes: Mistakes) -> tuple[str, ...] | None:
    for index, name in enumerate(written or ()):
        if not is_known(name, models):
            mistakes.add((*path, index), f"there is no model {name!r}{nearest(name, models)}")
    return None if written is None else tuple(written)


def is_known(name: str, models: Set[str]) -> bool:
    """A name that clients may use; patterns are taken as they are."""
    return (
        bool(_PATTERN & set(name))
        or name in models
        or any(fnmatchcase(name, each) for each in models if each[-1:] == "*")
    )


def _note_unknown(policy: schema.Policy, at: Sequence[int], document: Document, mistakes: Mistakes) -> None:
    """Routes for a tenant that is not declared; one whose own entry has mistakes counts as declared."""
    names = set(document.names("tenants"))
    names |= {f"{name}/{team}" for name, tenant in policy.tenants.items() for team in tenant.teams}
    for index, route in zip(at, policy.routes, strict=True):
        for name in listed(route.match.tenant):
            is_broken = name.partition("/")[0] in names - policy.tenants.keys()
            if not (name in names or is_broken or _PATTERN & set(name)):
                mistakes.add(("routes", index, "match", "tenant"), f"there is no tenant {name!r}{nearest(name, names)}")
