"""Limits: budgets and rates, wherever they stand, as the limits that the budget stage keeps accounts of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from zoneinfo import available_timezones

from gateway.budget.limits import WARN_AT, Counted, KeyLimits, Kind, Limit, Limits, MemberLimits, Orphan, Unit
from gateway.budget.windows import Calendar, Forever, Period, Rolling, Window
from gateway.core.deployment import Provider
from gateway.core.money import NANO
from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.sections.candidates import OWN
from gateway.policy.sections.models import Models
from gateway.policy.sections.tenants import is_known
from gateway.route.rules import Routes
from gateway.route.trials import spending
from gateway.template.prompts import Templates
from gateway.template.rollout.shadow import account_of

MOST_PATTERNS = 200
"""Patterns under `keys` of one tenant or team that have limits: each call is held against all of them."""

_RATES: Mapping[str, tuple[Unit, Window]] = {
    "rpm": (Unit.REQUESTS, Rolling(60)),
    "rpd": (Unit.REQUESTS, Rolling(86400)),
    "tpm": (Unit.TOKENS, Rolling(60)),
    "tpd": (Unit.TOKENS, Rolling(86400)),
    "concurrent": (Unit.CALLS, Forever()),
}
_SOME = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class _Written:
    """A limit, and where it stands."""

    limit: Limit
    path: Path


def compile_limits(
    policy: schema.Policy,
    models: Models,
    routes: Routes,
    templates: Templates,
    webhook: Provider | None,
    mistakes: Mistakes,
) -> Limits:
    reader = _Reader(models.declared, routes.aliases, mistakes)
    members: dict[str, MemberLimits] = {}
    for name, tenant in policy.tenants.items():
        members[name] = reader.member(tenant, ("tenants", name))
        for team, inner in tenant.teams.items():
            members[f"{name}/{team}"] = reader.member(inner, ("tenants", name, "teams", team))
    trials = dict((*_of_trials(routes), *_of_shadows(templates)))
    if trials:
        members[OWN] = replace(members.get(OWN, MemberLimits()), routes=trials)
    limited = {name: reader.model(written, ("models", name)) for name, written in policy.models.items()}
    if not any(limited.values()):
        limited = {}
    return Limits(
        members={name: member for name, member in members.items() if member != MemberLimits()},
        models={name: limited[name] for name in models.models if name in limited},
        wildcards=tuple((pattern, limited[pattern]) for pattern, _ in models.wildcards if pattern in limited),
        webhook=webhook,
    )


def _of_trials(routes: Routes) -> Iterator[tuple[str, tuple[Limit, ...]]]:
    """What the policy lets each route spend in a day on what is asked beside its calls."""
    for route in routes.rules:
        for account, budget in spending(route):
            if budget is not None:
                yield account, (daily(budget),)


def _of_shadows(templates: Templates) -> Iterator[tuple[str, tuple[Limit, ...]]]:
    """The same of templates."""
    for template in templates.named.values():
        shadow = None if template.rollout is None else template.rollout.shadow
        if shadow is not None and shadow.budget is not None:
            yield account_of(template), (daily(shadow.budget),)


def daily(budget: int) -> Limit:
    """What may be spent in a UTC day on trials; `budget` in nano-USD."""
    return Limit(Unit.USD, budget, Calendar(Period.DAY))


class _Reader:
    """Reads budgets and rates, and notes what is wrong with them."""

    def __init__(self, models: Set[str], aliases: Set[str], mistakes: Mistakes) -> None:
        self._models = models
        self._aliases = aliases
        self._mistakes = mistakes

    def member(self, written: schema.Team, path: Path) -> MemberLimits:
        keys = [self._limits(key, (*path, "keys", index)) for index, key in enumerate(written.keys)]
        self._note_idle([key.name for key in written.keys], keys, path)
        return MemberLimits(
            own=_bare(self._limits(written, path)),
            each_user=_bare(self._limits(written.users, (*path, "users"))),
            keys=tuple(
                KeyLimits(key.name, _bare(limits)) for key, limits in zip(written.keys, keys, strict=True) if limits
            ),
        )

    def model(self, written: schema.Model, path: Path) -> tuple[Limit, ...]:
        for index, budget in enumerate(written.budget):
            if budget.models is not None:
                self._mistakes.add((*path, "budget", index, "models"), "a model's own budget has no `models`", key=True)
        return _bare(self._limits(written, path))

    def _limits(self, written: schema.Limited, path: Path) -> list[_Written]:
        """The limits of one subject, each of which is an account of its own."""
        found = [self._budget(budget, (*path, "budget", index)) for index, budget in enumerate(written.budget)]
        if written.rate is not None:
            found += self._rates(written.rate, (*path, "rate"))
        seen: dict[Counted, Path] = {}
        for each in found:
            if each.limit.counted in seen:
                place = self._mistakes.place(seen[each.limit.counted])
                self._mistakes.add(each.path, f"there is already a limit of the same over the same window, at {place}")
            seen.setdefault(each.limit.counted, each.path)
        return found

    def _budget(self, written: schema.Budget, path: Path) -> _Written:
        self._note_pointless(written, path)
        for index, name in enumerate(written.models or ()):
            if not is_known(name, self._models):
                message = f"there is no model {name!r}{nearest(name, self._models)}"
                if name in self._aliases:
                    message = f"{name!r} is a name that routes answer; budgets count by the model that answers the call"
                self._mistakes.add((*path, "models", index), message)
        limit = Limit(
            unit=Unit.TOKENS if written.usd is None else Unit.USD,
            amount=(written.tokens or 0) if written.usd is None else _nano(written.usd),
            window=self._window(written, path),
            hard=written.mode == "hard",
            models=tuple(sorted(set(written.models or ()))),
            warn=WARN_AT if written.warn is None else tuple(sorted(set(written.warn))),
            clamps=written.on_insufficient == "clamp",
            allows_unpriced=written.unpriced == "allow",
            orphan=Orphan(written.on_orphan),
        )
        return _Written(limit, path)

    def _note_pointless(self, written: schema.Budget, path: Path) -> None:
        """What is said of a budget to which it does not apply."""
        if written.usd is None and written.tokens is None:
            self._mistakes.add(path, "say how much: `usd` or `tokens`")
        if written.usd is not None and written.tokens is not None:
            self._mistakes.add((*path, "tokens"), "a budget has `usd` or `tokens`; make it two budgets", key=True)
        if "unpriced" in written.model_fields_set and written.usd is None:
            self._mistakes.add((*path, "unpriced"), "only a budget in `usd` needs prices", key=True)
        for name in ("on_insufficient", "unpriced"):
            if written.mode == "soft" and name in written.model_fields_set:
                self._mistakes.add((*path, name), f"a soft budget refuses nothing, so no {name!r}", key=True)

    def _window(self, written: schema.Budget, path: Path) -> Window:
        if written.zone is None:
            return written.per
        if not isinstance(written.per, Calendar):
            self._mistakes.add((*path, "zone"), "only minute, hour, day, week, month and year have a zone", key=True)
            return written.per
        if written.zone not in _zones():
            message = f"there is no time zone {written.zone[:60]!r}{nearest(written.zone, _zones())}"
            self._mistakes.add((*path, "zone"), message)
            return written.per
        return replace(written.per, zone=written.zone)

    def _rates(self, written: schema.Rate, path: Path) -> Iterator[_Written]:
        if not written.model_fields_set:
            self._mistakes.add(path, f"say how fast: {', '.join(_RATES)}")
        for name, (unit, window) in _RATES.items():
            amount: int | None = getattr(written, name)
            if amount is not None:
                yield _Written(Limit(unit, amount, window, Kind.RATE, warn=()), (*path, name))

    def _note_idle(self, names: Sequence[str], limits: Sequence[list[_Written]], path: Path) -> None:
        """Limits of keys which earlier ones leave no key for."""
        if sum(bool(each and _SOME.search(name)) for name, each in zip(names, limits, strict=True)) > MOST_PATTERNS:
            self._mistakes.add((*path, "keys"), f"more than {MOST_PATTERNS} patterns have limits", key=True)
            return
        seen: set[tuple[Counted, str]] = set()
        patterns: dict[Counted, list[str]] = {}
        for name, written in zip(names, limits, strict=True):
            for each in written:
                counted = each.limit.counted
                before = patterns.setdefault(counted, [])
                taker = name if (counted, name) in seen else next((one for one in before if _covers(one, name)), None)
                if taker is not None:
                    message = f"no key has this limit: {taker!r} before it has one of the same over the same window"
                    self._mistakes.add(each.path, message)
                seen.add((counted, name))
                before += [name] if _SOME.search(name) else []


def _bare(written: Iterable[_Written]) -> tuple[Limit, ...]:
    return tuple(each.limit for each in written)


def _nano(dollars: float) -> int:
    """Nano-dollars, rounded down, so that no more is spent than was written; but not to nothing."""
    return max(1, int((Decimal(str(dollars)) * NANO).to_integral_value(rounding=ROUND_FLOOR)))


def _covers(pattern: str, name: str) -> bool:
    """Whether every key that `name` fits is one that `pattern` fits too; False where that is hard to say."""
    return not (_SOME.search(name) and {"?", "["} & set(pattern)) and fnmatchcase(name, pattern)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
