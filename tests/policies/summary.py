"""A snapshot as text, for the golden files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.auth.tenants import Member, Tenants
from gateway.budget.limits import WARN_AT, Kind, Limit, Limits, Orphan
from gateway.cache.admission import Rules as Admission
from gateway.cache.rules import CacheRules
from gateway.core.deployment import MAX_OUTPUT, Abilities, Deadlines, Deployment, Model, Provider, Retries, Strategy
from gateway.core.money import NANO, Price
from gateway.policy.sections.replays import Promise
from gateway.policy.snapshot import Snapshot
from gateway.route.candidates import Candidate, Cascade, Learned
from gateway.route.hours import DAYS, Hours
from gateway.route.rules import Match, Route
from gateway.template.rules import Template
from gateway.trace.rules import Capture, Inbound, TraceRules


def summary(snapshot: Snapshot) -> str:
    """One line for each thing in the snapshot; what has its default is not shown."""
    return "\n".join(_lines(snapshot)) + "\n"


def _lines(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.strict:
        yield "strict"
    for provider in snapshot.providers.values():
        yield f"provider {provider.name}: {_provider(provider)}"
    for model in snapshot.routes.models.values():
        yield f"model {model.name}: {_model(model)}"
    for pattern, resolve in snapshot.routes.wildcards:
        yield f"models {pattern}, such as X: {_model(resolve(pattern.replace('*', 'X')))}"
    for route in snapshot.routes.rules:
        yield " | ".join([f"route {route.name}: {_match(route.match)} → {route.model.name}", *_routing(route)])
    if snapshot.routes.aliases:
        yield f"aliases: {', '.join(sorted(snapshot.routes.aliases))}"
    for template in snapshot.templates.named.values():
        yield f"template {template.name}: {' | '.join(_template(template))}"
    yield from _tenants(snapshot.tenants)
    yield from _limits(snapshot.limits)
    yield from _cache(snapshot.cache)
    yield from _trace(snapshot.trace)
    for promise in snapshot.promises:
        yield f"replay of {promise.seconds:g} s: {_promise(promise)}"
    for note in snapshot.notes:
        yield f"note: {note}"


def _template(template: Template) -> Iterator[str]:
    yield template.mode.value
    for version in template.versions.values():
        said = "; ".join(f"{each.role}{'*' if each.compiled else ''}: {each.source!r}" for each in version.messages)
        told = "".join(f", {name} {value}" for name, value in version.parameters.items())
        yield f"{version.number} {said}{told}" + ("" if version.model is None else f", for {version.model}")
    yield from (f"{label} is {number}" for label, number in template.labels.items())
    if (rollout := template.rollout) is not None:
        yield f"rollout {dict(rollout.weights)} from {rollout.baseline} by {rollout.by.value}{rollout.salt}"
    if template.tenants:
        yield f"for {', '.join(sorted(template.tenants))}"


def _promise(promise: Promise) -> str:
    said = []
    if promise.cost is not None:
        said.append(f"cost at most {promise.cost:g}")
    if promise.loss_upper_95 is not None:
        said.append(f"loss under {promise.loss_upper_95:g}")
    if promise.labelled is not None:
        least, is_each = promise.labelled
        said.append(f"{least} labels{' of each route' if is_each else ''}")
    return ", ".join(said)


def _tenants(tenants: Tenants) -> Iterator[str]:
    if tenants.declared and not tenants.organisations:
        yield "no tenants"
    for organisation in tenants.organisations.values():
        yield f"tenant {organisation.name}: {_member(organisation)}"
        for team in organisation.teams.values():
            yield f"tenant {organisation.name}/{team.name}: {_member(team)}"


def _limits(limits: Limits) -> Iterator[str]:
    for name, member in limits.members.items():
        yield from (f"limit of {name}: {_limit(limit)}" for limit in member.own)
        yield from (f"limit of each user of {name}: {_limit(limit)}" for limit in member.each_user)
        for rule in member.keys:
            yield from (f"limit of each key {rule.pattern} of {name}: {_limit(limit)}" for limit in rule.limits)
    for name, model in (*limits.models.items(), *limits.wildcards):
        yield from (f"limit of model {name}: {_limit(limit)}" for limit in model or ())
        if not model:
            yield f"limit of model {name}: none"
    if limits.webhook is not None:
        yield f"webhook: {_provider(limits.webhook)}"


def _cache(rules: CacheRules) -> Iterator[str]:
    for name, rule in rules.routes.items():
        if rule is None:
            yield f"cache of {name}: off"
            continue
        words = [f"{rule.ttl:g} s", rule.sharing.value]
        if rule.admits != Admission():
            words.append(str(rule.admits))
        if rule.pace is not None:
            words.append(f"{rule.pace:g}/s")
        if rule.semantic is not None:
            words.append(str(rule.semantic))
        yield f"cache of {name}: {', '.join(words)}"


def _trace(rules: TraceRules) -> Iterator[str]:
    if rules.inbound is not Inbound.PARENT:
        yield f"inbound traces: {rules.inbound.value}"
    if rules.capture is not Capture.OFF:
        whose = ", ".join(sorted(rules.capture_tenants)) or "everybody"
        yield f"capture to {rules.capture.value}: {whose} | {rules.capture_limit} | without {', '.join(rules.redact)}"


def _limit(limit: Limit) -> str:
    words = [f"{limit.amount} {limit.unit.value} per {limit.window}"]
    words += [] if limit.kind is Kind.BUDGET else [limit.kind.value]
    words += [] if limit.hard else ["soft"]
    words += [f"models {', '.join(limit.models)}"] if limit.models else []
    if limit.warn != (WARN_AT if limit.kind is Kind.BUDGET else ()):
        words.append(f"warn {', '.join(map(str, limit.warn)) or 'never'}")
    words += ["clamps"] if limit.clamps else []
    words += ["allows unpriced"] if limit.allows_unpriced else []
    words += [] if limit.orphan is Orphan.OBSERVED else [f"orphans {limit.orphan.value}"]
    return " | ".join(words)


def _provider(provider: Provider) -> str:
    words = [provider.dialect]
    if provider.host:
        query = f"?{provider.query}" if provider.query else ""
        words.append(f"{'https' if provider.tls else 'http'} {provider.host} {provider.port} {provider.path}{query}")
    words += [f"{name}: {secret.reveal()}" for name, secret in provider.headers]
    words += [f"as {provider.translator}"] if provider.translator else []
    words += [f"{name}={secret.reveal()}" for name, secret in provider.options]
    words += ["reads the environment"] if provider.reads_environment else []
    words += ["keeps files"] if provider.keeps_files else []
    words += ["unbudgeted batches"] if provider.unbudgeted_batches else []
    if (signing := provider.signing) is not None:
        token = f" with {signing.session_token.reveal()}" if signing.session_token is not None else ""
        words.append(
            f"signed by {signing.access_key_id}/{signing.secret_access_key.reveal()}{token} for {signing.region}"
        )
    words += ["private"] if provider.allow_private else []
    words += _changed(provider.deadlines, Deadlines()) + _changed(provider.retries, Retries())
    if provider.max_output_bytes != 16 * 1024 * 1024:
        words.append(f"at most {provider.max_output_bytes} bytes")
    words += [] if provider.output_cap == "max_tokens" else [provider.output_cap]
    return " | ".join(words + ([] if provider.stream_usage else ["no stream usage"]))


def _changed(now: Deadlines | Retries, default: Deadlines | Retries) -> list[str]:
    return [f"{name}={getattr(now, name)}" for name in now.__slots__ if getattr(now, name) != getattr(default, name)]


def _model(model: Model) -> str:
    first = ", ".join(_deployment(each) for each in model.deployments)
    words = [" then ".join([first, *(_deployment(each) for each in model.fallbacks)])]
    words += [] if model.max_output == MAX_OUTPUT else [f"at most {model.max_output} tokens out"]
    words += [] if model.strategy is Strategy.WEIGHTED else [model.strategy.value]
    return " | ".join(words + (["sticky"] if model.is_sticky else []))


def _deployment(deployment: Deployment) -> str:
    price = deployment.price
    costs = (
        "?"
        if price is None
        else "; ".join([_price(price), *(f"above {at}: {_price(tier)}" for at, tier in price.tiers)])
    )
    weight = "" if deployment.weight == 1 else f" x{deployment.weight}"
    return f"{deployment.name}{weight} ({costs}){_abilities(deployment.abilities)}"


def _abilities(abilities: Abilities) -> str:
    words = [
        "" if abilities.prompt is None else f"prompts to {abilities.prompt}",
        "" if abilities.context is None else f"context {abilities.context}",
        f"without {'+'.join(sorted(abilities.lacks))}" if abilities.lacks else "",
    ]
    said = ", ".join(word for word in words if word)
    return f" [{said}]" if said else ""


def _price(price: Price) -> str:
    amounts = (price.input, price.output, price.cached_input)
    words = ["/".join(f"{amount / NANO:g}" for amount in amounts if amount is not None)]
    for name in (
        "cache_write",
        "audio_input",
        "audio_output",
        "image_input",
        "image_output",
        "reasoning",
        "request",
        "unit",
    ):
        if getattr(price, name):
            words.append(f"{name} {getattr(price, name) / NANO:g}")
    return " ".join(words)


def _match(match: Match) -> str:
    written: Mapping[str, object] = {
        "model": "|".join(match.models),
        "key": "|".join(match.keys),
        "tenant": "|".join(match.tenants),
        "tags": "+".join(sorted(match.tags)),
        "headers": "+".join(f"{name.decode()}: {pattern}" for name, pattern in match.headers),
        "tokens_in": match.tokens_in and f"{match.tokens_in.least}..{match.tokens_in.most}",
        "has": "+".join(sorted(match.has)),
        "has_not": "+".join(sorted(match.has_not)),
        "time": match.time and _hours(match.time),
        "stream": match.stream if match.stream is None else str(match.stream),
    }
    return ", ".join(f"{name}={value}" for name, value in written.items() if value) or "every call"


def _hours(hours: Hours) -> str:
    days = "" if len(hours.days) == 7 else ",".join(DAYS[day] for day in sorted(hours.days)) + " "
    first, last = (f"{minute // 60:02}:{minute % 60:02}" for minute in (hours.first, hours.last))
    return f"{days}{first}-{last} {hours.zone}"


def _routing(route: Route) -> Iterator[str]:
    if route.candidates:
        yield "candidates " + ", ".join(_candidate(each) for each in route.candidates)
    if route.guarantee is not None:
        promised = route.guarantee
        judge = "" if promised.judge is None else f" {promised.judge.name} (wrong {promised.judge_error:.0%})"
        yield (
            f"loss at most {promised.max_loss:.0%} of {promised.reference.name} at {promised.confidence:.0%}, "
            f"by {promised.scorer.value}{judge}, shadow {promised.shadow:.0%}, audit {promised.audit:.0%}"
            f"{_per_day(promised.budget)}"
        )
    if route.canary is not None:
        units = "conversations" if route.canary.by_conversation else "calls"
        yield f"canary {route.canary.model.name} {route.canary.share:.0%} of {units}"
    if route.mirror is not None:
        yield f"mirrored by {route.mirror.model.name} {route.mirror.share:.0%}{_per_day(route.mirror.budget)}"
    if route.hedge is not None:
        yield f"hedged after {route.hedge.after:g} s in {route.hedge.share:.0%}"
    if not route.sticky:
        yield "not sticky"
    if route.template is not None:
        yield f"with template {route.template}"


def _candidate(candidate: Candidate) -> str:
    if isinstance(candidate, Cascade):
        second = "" if candidate.second is None else f" against {candidate.second.name} ({candidate.on.value})"
        checks = ", ".join(sorted(check.value for check in candidate.when))
        return f"{candidate.name} = {candidate.cheap.name}{second} unless {checks} then {candidate.strong.name}"
    if isinstance(candidate, Learned):
        return f"{candidate.name} = {candidate.weak.name} or {candidate.strong.name} ({candidate.strong_share:.0%})"
    return candidate.name


def _per_day(budget: int | None) -> str:
    return "" if budget is None else f", {budget / NANO:g} USD a day"


def _member(member: Member) -> str:
    words = [] if member.models is None else [f"models {_names(member.models)}"]
    words += [f"keys {rule.pattern}: {_names(rule.models)}" for rule in member.keys]
    return "; ".join(words + (["blocked"] if member.blocked else [])) or "every model"


def _names(models: tuple[str, ...] | None) -> str:
    return "every model" if models is None else ", ".join(models) or "none"
