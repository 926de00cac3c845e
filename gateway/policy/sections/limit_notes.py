"""What people should know about limits that are right and may yet not be what they meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.auth.tenants import allows
from gateway.budget.limits import Limit, Limits, Unit
from gateway.core.money import usd
from gateway.core.tenant import Tenant
from gateway.policy import schema
from gateway.policy.sections.models import Models

_MOST_NAMED = 5
_MOST_SEEN = 100
"""Models without a price that are looked at: a policy may name thousands, and thousands of tenants."""


@dataclass(frozen=True, slots=True)
class _Budgets:
    """Budgets of one subject, and the names of models that it may ask for, as in Tenant."""

    whose: str
    models: tuple[tuple[str, ...], ...]
    budgets: Sequence[schema.Budget]


def limit_notes(policy: schema.Policy, limits: Limits, models: Models) -> Iterator[str]:
    yield from _never_reached(limits)
    yield from _refused(policy, models)


def _never_reached(limits: Limits) -> Iterator[str]:
    """Limits of teams above a hard one of their organisation that counts the same."""
    for name, member in limits.members.items():
        org, _, team = name.partition("/")
        above = limits.members.get(org)
        if not team or above is None:
            continue
        for mine in member.own:
            for theirs in above.own:
                same = (mine.unit, mine.window) == (theirs.unit, theirs.window)
                counts_all = not theirs.models or theirs.models == mine.models
                if same and counts_all and theirs.hard and theirs.amount < mine.amount:
                    yield f"tenant {name}: its {_shown(mine)} are never reached, as {org} has {_shown(theirs)} in all"


def _shown(limit: Limit) -> str:
    if limit.unit is Unit.CALLS:
        return f"{limit.amount} calls at once"
    amount = usd(limit.amount) if limit.unit is Unit.USD else str(limit.amount)
    return f"{amount} {limit.unit.value} per {limit.window}"


def _refused(policy: schema.Policy, models: Models) -> Iterator[str]:
    """Deployments whose price is not known, and whose calls a budget in dollars therefore refuses.

    What a wildcard stands for is not looked at, as it is priced name by name.
    """
    unpriced = {
        name: [each.name for each in (*model.deployments, *model.fallbacks) if each.price is None]
        for name, model in models.models.items()
    }
    unpriced = dict(islice(((name, found) for name, found in unpriced.items() if found), _MOST_SEEN))
    refused: dict[str, dict[str, None]] = {}
    for each in _all_budgets(policy) if unpriced else ():
        names = [name for name in unpriced if _refuses(each, name)]
        if names:
            deployments = dict.fromkeys(deployment for name in names for deployment in unpriced[name])
            refused.setdefault(_few(list(deployments)), {})[each.whose] = None
    for named, whose in refused.items():
        yield f"budgets in usd refuse calls, as the price of {named} is not known (model_not_priced): {_few(list(whose))}"


def _refuses(subject: _Budgets, model: str) -> bool:
    return any(
        budget.usd is not None
        and budget.mode == "hard"
        and budget.unpriced == "refuse"
        and allows(Tenant("", None, "", "", models=(*subject.models, *_level(budget.models))), model)
        for budget in subject.budgets
    )


def _all_budgets(policy: schema.Policy) -> Iterator[_Budgets]:
    for name, tenant in policy.tenants.items():
        yield from _of_member(f"tenant {name}", tenant, ())
        for team, inner in tenant.teams.items():
            yield from _of_member(f"tenant {name}/{team}", inner, _level(tenant.models))
    for name, model in policy.models.items():
        if not name.endswith("*"):
            yield _Budgets(f"model {name}", ((name,),), model.budget)


def _of_member(whose: str, written: schema.Team, above: tuple[tuple[str, ...], ...]) -> Iterator[_Budgets]:
    models = (*above, *_level(written.models))
    yield _Budgets(whose, models, [*written.budget, *written.users.budget])
    for key in written.keys:
        yield _Budgets(whose, (*models, *_level(key.models)), key.budget)


def _level(models: list[str] | None) -> tuple[tuple[str, ...], ...]:
    return () if models is None else (tuple(models),)


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
