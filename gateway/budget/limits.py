"""The limits of the policy: which accounts a call of a tenant touches, and how far each may go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from gateway.budget.windows import Window
from gateway.core.ledger.operations import Orphan
from gateway.core.tenant import Tenant

WARN_AT = (0.8, 1.0)
"""Shares of a budget at which people are told, where the policy says nothing else."""


class Unit(Enum):
    """What is counted. USD in nano-dollars; CALLS are those under way at the same time."""

    USD = "usd"
    TOKENS = "tokens"
    REQUESTS = "requests"
    CALLS = "calls"


class Kind(Enum):
    BUDGET = "budget"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Limit:
    """So much of a unit per window. A limit that is not `hard` warns and refuses nothing.

    `models` are patterns of the models whose calls count; none: all. `warn` are shares of `amount`. `clamps`: a call that
    would not fit is shortened rather than refused. `allows_unpriced`: a call whose price is unknown counts as free.
    """

    unit: Unit
    amount: int
    window: Window
    kind: Kind = Kind.BUDGET
    hard: bool = True
    models: tuple[str, ...] = ()
    warn: tuple[float, ...] = WARN_AT
    clamps: bool = False
    allows_unpriced: bool = False
    orphan: Orphan = Orphan.OBSERVED


@dataclass(frozen=True, slots=True)
class Account:
    """A limit and whose it is: `scope` is org, team, key, user or model, `subject` which one. `name` tells it from all others."""

    scope: str
    subject: str
    limit: Limit
    name: str

    def fits(self, model: str) -> bool:
        """Whether calls of this model count."""
        return not self.limit.models or any(fnmatchcase(model, pattern) for pattern in self.limit.models)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """Limits of each virtual key whose name fits the pattern."""

    pattern: str
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class MemberLimits:
    """The limits of one organisation or team: its own, those of each of its end users, and of its keys."""

    own: tuple[Limit, ...] = ()
    each_user: tuple[Limit, ...] = ()
    keys: tuple[KeyLimits, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a snapshot: by tenant name (`organisation`, `organisation/team`), and by model for all tenants together.

    `webhook` gets a warning when a share of a budget has been spent.
    """

    members: Mapping[str, MemberLimits] = field(default_factory=dict)
    models: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    webhook: str | None = None

    def of(self, tenant: Tenant, user: str | None) -> tuple[Account, ...]:
        """The accounts of whoever calls, whatever the model; the widest first."""
        names = (tenant.org,) if tenant.team is None else (tenant.org, tenant.name)
        return tuple(account for name in names for account in self._of_member(name, tenant, user))

    def of_model(self, model: str) -> tuple[Account, ...]:
        """The accounts that all callers of a model share."""
        return tuple(account("model", model, limit) for limit in self.models.get(model, ()))

    def _of_member(self, name: str, tenant: Tenant, user: str | None) -> Iterator[Account]:
        member = self.members.get(name)
        if member is None:
            return
        scope = "team" if "/" in name else "org"
        yield from (account(scope, name, limit) for limit in member.own)
        for rule in member.keys:
            if fnmatchcase(tenant.key_name, rule.pattern):
                yield from (account("key", f"{name}/{tenant.key_id}", limit) for limit in rule.limits)
        if user is not None:
            yield from (account("user", f"{name}/{_short(user)}", limit) for limit in member.each_user)


def account(scope: str, subject: str, limit: Limit) -> Account:
    models = "" if not limit.models else "[" + ",".join(limit.models) + "]"
    return Account(scope, subject, limit, f"{scope}:{subject}:{limit.unit.value}{models}/{limit.window}")


def _short(user: str) -> str:
    """An end user's id as clients send it: one that is long or odd is told by its hash."""
    if len(user) <= 64 and user.isascii() and user.isprintable() and " " not in user:
        return user
    return "#" + hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
