"""The policy's words about kept answers, as the cache stage reads them."""

from __future__ import annotations

from gateway.cache.admission import Rules as Admission
from gateway.cache.key import Sharing
from gateway.cache.rules import CacheRules, Rule
from gateway.cache.semantic.asked import SemanticRule
from gateway.policy import schema, schema_cache
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.sections.models import Models, unknown
from gateway.route.rules import Routes

DEFAULT = "default"
OWN = "llmgw"
"""The organisation that the gateway's own calls are made as."""


def compile_cache(policy: schema.Policy, routes: Routes, models: Models, mistakes: Mistakes) -> CacheRules:
    names = {rule.name for rule in routes.rules} | {DEFAULT}
    compiled: dict[str, Rule | None] = {}
    for name, written in policy.cache.items():
        path: Path = ("cache", name)
        if name not in names:
            mistakes.add(path, f"there is no route {name!r}{nearest(name, names)}", key=True)
        compiled[name] = None if isinstance(written, str) else _rule(written, path, models, mistakes)
        rule = compiled[name]
        asks = rule is not None and rule.semantic is not None and (rule.semantic.judge or rule.semantic.embedder)
        if asks and policy.tenants and OWN not in policy.tenants:
            mistakes.add(
                (*path, "semantic"), f"`tenants` needs an organisation {OWN!r}: it pays for the judge and the embedder"
            )
    return CacheRules(default=compiled.get(DEFAULT), routes=compiled)


def _rule(written: schema_cache.Caching, path: Path, models: Models, mistakes: Mistakes) -> Rule | None:
    semantic = None if isinstance(written.semantic, str) else written.semantic
    if isinstance(written.exact, str):
        if semantic is not None:
            mistakes.add((*path, "semantic"), "an answer that is found by its meaning must be kept: `exact` is off")
        return None
    return Rule(
        ttl=written.exact.ttl,
        sharing=Sharing(written.scope),
        admits=Admission(written.tools, written.several, written.max_temperature, written.max_size),
        semantic=_semantic(semantic, written.exact.ttl, (*path, "semantic"), models, mistakes),
        pace=written.pace,
    )


def _semantic(
    written: schema_cache.Semantic | None, ttl: float, path: Path, models: Models, mistakes: Mistakes
) -> SemanticRule | None:
    if written is None:
        return None
    if (written.max_error is None) == (written.threshold is None):
        mistakes.add(
            path, "either `max_error` (which is earned) or `threshold` (which is not) says when an answer is served"
        )
    if written.judge is not None and models.find(written.judge) is None:
        mistakes.add((*path, "judge"), unknown(written.judge, models))
    return SemanticRule(
        ttl=min(ttl, written.ttl or ttl),
        max_error=written.max_error,
        threshold=written.threshold,
        judge=written.judge,
        embedder=written.embedder,
    )
