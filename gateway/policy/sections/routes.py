"""Routes: the rules in their order, each with the model that answers, and the names that only rules know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.call import FEATURES
from gateway.core.deployment import Model
from gateway.policy import schema, schema_routes
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.sections.candidates import OWN, Candidates, compile_candidates
from gateway.policy.sections.models import Models, unknown
from gateway.policy.sections.templates import check_route
from gateway.policy.shapes import listed
from gateway.route.candidates import MOST_HEDGED, Canary, Hedge, Mirror
from gateway.route.rules import Match, Route, Routes
from gateway.template.prompts import Templates

_CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"})
"""Headers that a call does not keep."""


def compile_routes(
    policy: schema.Policy, at: Sequence[int], models: Models, templates: Templates, mistakes: Mistakes
) -> Routes:
    """`at` gives for each route its position among those written, as the wrong ones are no longer there."""
    paths: list[Path] = [("routes", index) for index in at]
    candidates = compile_candidates(policy, models, mistakes)
    rules = [
        _route(route, path, candidates, models, mistakes) for path, route in zip(paths, policy.routes, strict=True)
    ]
    for rule, path in zip(rules, paths, strict=True):
        if rule.template is not None and (wrong := check_route(rule.template, templates)) is not None:
            mistakes.add((*path, "template"), wrong)
    _note_unreachable(rules, paths, mistakes)
    return Routes(
        rules=tuple(rules),
        models=models.models,
        wildcards=models.wildcards,
        aliases=frozenset(name for rule in rules for name in rule.match.models if _is_alias(name, models)),
        counts_tokens=any(rule.match.tokens_in is not None for rule in rules),
        headers=tuple(sorted({name for rule in rules for name, _ in rule.match.headers})),
        puts_templates=any(rule.template is not None for rule in rules),
    )


def route_notes(routes: Routes) -> Iterator[str]:
    for rule in routes.rules:
        if not rule.model.deployments:
            yield f"route {rule.name} has nobody to answer: its model {rule.model.name} is left out"


def _is_alias(name: str, models: Models) -> bool:
    return not set(name) & set("*?[") and name not in models.models


def _route(
    written: schema_routes.Route, path: Path, candidates: Candidates, models: Models, mistakes: Mistakes
) -> Route:
    guarantee = None
    if written.candidates is not None:
        guarantee = candidates.guarantee(written.guarantee, written.model, (*path, "guarantee"))
    else:
        if written.model is None:
            mistakes.add(path, "'model' is missing: who answers, or `candidates` of which one may")
        if written.guarantee is not None:
            mistakes.add((*path, "guarantee"), "a guarantee is about `candidates`, and there are none", key=True)
    model = guarantee.reference if guarantee is not None else _model(written.model, (*path, "model"), models, mistakes)
    canary, mirror, hedge = written.canary, written.shadow, written.hedge
    if (mirror is not None or guarantee is not None) and candidates.wants_own:
        key = "shadow" if mirror is not None else "candidates"
        mistakes.add(
            (*path, key), f"`tenants` needs an organisation {OWN!r}: it pays for what is asked beside the calls"
        )
    return Route(
        name=written.name,
        match=_match(written.match, path, mistakes),
        model=model,
        candidates=()
        if guarantee is None
        else candidates.named(written.candidates or [], guarantee.reference, (*path, "candidates")),
        guarantee=guarantee,
        canary=None
        if canary is None
        else Canary(
            _model(canary.model, (*path, "canary", "model"), models, mistakes),
            canary.share,
            canary.by == "conversation",
        ),
        mirror=None
        if mirror is None
        else Mirror(_model(mirror.model, (*path, "shadow", "model"), models, mistakes), mirror.share, mirror.budget),
        hedge=None if hedge is None else Hedge(hedge.after, hedge.share or MOST_HEDGED),
        sticky=written.sticky == "conversation",
        template=written.template,
    )


def _model(name: str | None, where: Path, models: Models, mistakes: Mistakes) -> Model:
    model = None if name is None else models.find(name)
    if model is None:
        if name is not None:
            mistakes.add(where, unknown(name, models))
        return Model(name or "", ())
    return model


def _match(written: schema_routes.Match, path: Path, mistakes: Mistakes) -> Match:
    path = (*path, "match")
    has, has_not = frozenset(listed(written.has)), frozenset(listed(written.has_not))
    for key, features in (("has", has), ("has_not", has_not)):
        for feature in sorted(features - FEATURES):
            mistakes.add((*path, key), f"there is no feature {feature!r}{nearest(feature, FEATURES)}")
    if has & has_not:
        mistakes.add((*path, "has_not"), f"{min(has & has_not)!r} is under `has` too, so no call fits")
    for header in written.headers:
        if header.lower() in _CREDENTIALS or not header.isascii():
            mistakes.add((*path, "headers", header), f"the header {header!r} cannot be matched", key=True)
    return Match(
        models=listed(written.model),
        keys=listed(written.key),
        tenants=listed(written.tenant),
        tags=frozenset(listed(written.tags)),
        headers=tuple((name.lower().encode("utf-8"), pattern) for name, pattern in written.headers.items()),
        tokens_in=written.tokens_in,
        has=has,
        has_not=has_not,
        stream=written.stream,
        time=written.time,
    )


def _note_unreachable(rules: Sequence[Route], paths: Sequence[Path], mistakes: Mistakes) -> None:
    """A route named like an earlier one, or one that an earlier one leaves no calls for."""
    names: dict[str, Path] = {}
    matches: dict[Match, str] = {}
    for rule, path in zip(rules, paths, strict=True):
        if rule.name in names:
            earlier = mistakes.place((*names[rule.name], "name"))
            mistakes.add((*path, "name"), f"there is already a route {rule.name!r}, at {earlier}")
        taker = matches.get(Match()) or matches.get(rule.match)
        if taker is not None:
            reason = "has no match" if Match() in matches else "has the same match"
            mistakes.add(path, f"route {rule.name!r} never fits: {taker!r} before it {reason} and takes its calls")
        names.setdefault(rule.name, path)
        matches.setdefault(rule.match, rule.name)
