"""Models: the names clients may ask for, each with the deployments that answer it and its fallbacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.core.deployment import MAX_OUTPUT, Model, Strategy
from gateway.core.errors import NotFound
from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.sections.fallbacks import Fallbacks
from gateway.policy.sections.providers import Providers
from gateway.policy.sections.targets import Able, Prices, Target, Targets
from gateway.policy.source.document import Document
from gateway.route.plan import unknown_model

Resolve = Callable[[str], Model]

_MODEL_NAME = re.compile(r"[^*?\[\] ]+\*?|\*")
_FILLS_STAR = re.compile(r"(?!.*\.\.)[A-Za-z0-9._:/@+-]{1,200}")
"""What a client may write in place of a `*`, which becomes part of what we send to the provider."""
_RESOLVED = 1024


@dataclass(frozen=True, slots=True)
class Models:
    """`wildcards` are pairs of pattern and resolver, the longest first. `left_out` have no deployment that is on."""

    models: Mapping[str, Model]
    wildcards: tuple[tuple[str, Resolve], ...]
    left_out: tuple[str, ...]
    declared: frozenset[str]

    def find(self, name: str) -> Model | None:
        """The model, or one made by a wildcard; without deployments for one that is left out."""
        if name in self.models:
            return self.models[name]
        for pattern, resolve in self.wildcards:
            if name.startswith(pattern[:-1]):
                try:
                    return resolve(name)
                except NotFound:
                    return None
        return Model(name, ()) if self.is_left_out(name) else None

    def is_left_out(self, name: str) -> bool:
        """Whether the name, or a wildcard that covers it, is declared and has no deployment."""
        if name in self.declared:
            return name not in self.models
        return any(each.endswith("*") and name.startswith(each[:-1]) for each in self.declared)

    def notes(self) -> Iterator[str]:
        if self.left_out:
            yield f"left out, as their providers are off: {', '.join(self.left_out)}"


@dataclass(frozen=True, slots=True)
class Tables:
    """What is publicly known of upstream models at their providers: list prices, and what they can do."""

    prices: Prices
    able: Able


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A model before its name is known: `*` in a target is still to be filled."""

    targets: tuple[Target, ...]
    fallbacks: tuple[Target, ...]
    max_output: int
    strategy: Strategy
    is_sticky: bool

    def build(self, name: str, star: str, tables: Tables) -> Model:
        return Model(
            name=name,
            deployments=tuple(target.deployment(star, tables.prices, tables.able) for target in self.targets),
            fallbacks=tuple(target.deployment(star, tables.prices, tables.able) for target in self.fallbacks),
            max_output=self.max_output,
            strategy=self.strategy,
            is_sticky=self.is_sticky,
        )


def compile_models(
    policy: schema.Policy, document: Document, providers: Providers, listed: Tables, mistakes: Mistakes
) -> Models:
    declared = document.names("models")
    if not declared:
        mistakes.add((), "the policy has no models; a first one is `models: {demo: {use: demo/demo}}`")
    targets = Targets(policy.models, providers, mistakes)
    tables = Tables(targets.priced(listed.prices), listed.able)
    used = {name: targets.used(name) for name in policy.models if _is_well_named(name, mistakes)}
    fallbacks = Fallbacks(policy.models, declared, targets, mistakes).expanded(used)
    blueprints = {name: _blueprint(policy.models[name], used[name], fallbacks[name]) for name in used if used[name]}
    return Models(
        models={name: each.build(name, "", tables) for name, each in blueprints.items() if not name.endswith("*")},
        wildcards=_wildcards(blueprints, tables),
        left_out=tuple(name for name in used if name not in blueprints),
        declared=declared,
    )


def _blueprint(written: schema.Model, used: tuple[Target, ...], fallbacks: tuple[Target, ...]) -> Blueprint:
    return Blueprint(
        used,
        fallbacks,
        max_output=written.max_output or MAX_OUTPUT,
        strategy=Strategy(written.strategy),
        is_sticky=written.sticky == "conversation",
    )


def unknown(name: str, models: Models) -> str:
    return f"there is no model {name!r}{nearest(name, models.declared)}"


def _is_well_named(name: str, mistakes: Mistakes) -> bool:
    path: Path = ("models", name)
    if not _MODEL_NAME.fullmatch(name):
        mistakes.add(path, "a model's name has no spaces, `?`, `[` or `]`, and `*` only at its end", key=True)
        return False
    return True


def _wildcards(blueprints: Mapping[str, Blueprint], tables: Tables) -> tuple[tuple[str, Resolve], ...]:
    patterns = sorted((name for name in blueprints if name.endswith("*")), key=len, reverse=True)
    for pattern in patterns:
        blueprints[pattern].build(pattern, "*", tables)  # loads the tables now and not in the first call
    return tuple((pattern, _resolver(pattern, blueprints[pattern], tables)) for pattern in patterns)


def _resolver(pattern: str, blueprint: Blueprint, tables: Tables) -> Resolve:
    in_path = any("{model}" in target.provider.path for target in (*blueprint.targets, *blueprint.fallbacks))

    @lru_cache(maxsize=_RESOLVED)
    def resolve(name: str) -> Model:
        star = name.removeprefix(pattern[:-1])
        if not _FILLS_STAR.fullmatch(star) or (in_path and "/" in star):
            raise unknown_model(name)
        return blueprint.build(name, star, tables)

    return resolve
