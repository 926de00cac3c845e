"""The limits of the policy: which accounts a call of a tenant touches, and how far each may go."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from gateway.budget.windows import Span, Window
from gateway.core.deployment import Provider
from gateway.core.tenant import Tenant

WARN_AT = (0.8, 1.0)
"""Shares of a budget at which people are told, where the policy says nothing else."""

_PLAIN_USER = re.compile(r"(?!#)[!-.0-Z\\^-z|~]{1,64}")
"""Not `team/user`, nor one that looks like a hash, nor with brackets, which end what stands before them in a name."""


_KNOWN = 10_000
"""Callers whose accounts are remembered."""


class Unit(Enum):
    """What is counted. USD in nano-dollars; CALLS are those under way at the same time."""

    USD = "usd"
    TOKENS = "tokens"
    REQUESTS = "requests"
    CALLS = "calls"


Counted = tuple[Unit, tuple[str, ...], Window]
"""What a limit counts: two limits of one subject that count the same would be one account."""


_NO_SPAN = Span("", begin=0, end=0)
_INDICES = {unit: index for index, unit in enumerate(Unit)}

Used = tuple[int, int, int, int]
"""Amounts of each unit: nano-USD, tokens, requests, calls."""
NOTHING: Used = (0, 0, 0, 0)


class Kind(Enum):
    BUDGET = "budget"
    RATE = "rate"


class Orphan(Enum):
    """What is charged for a call whose worker died, once its lease has run out."""

    OBSERVED = "observed"
    RESERVED = "reserved"
    RELEASE = "release"


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

    @property
    def counted(self) -> Counted:
        return self.unit, self.models, self.window


@dataclass(frozen=True, slots=True)
class Account:
    """A limit and whose it is: `scope` is org, team, key, user, route or model, `subject` which one. `name` tells it from all
    others.

    `index` is where amounts of its unit stand in a tuple of them: see Used.
    """

    scope: str
    subject: str
    limit: Limit
    name: str
    index: int = field(init=False, repr=False)
    is_rate: bool = field(init=False, repr=False)
    _span: Span = field(init=False, repr=False, compare=False)

    def span(self, now: int) -> Span:
        """The account's window in which the moment `now` lies, by the ledger's clock."""
        known = self._span
        if not known.begin <= now < known.end:
            known = self.limit.window.span(now)
            object.__setattr__(self, "_span", known)
        return known

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", _INDICES[self.limit.unit])
        object.__setattr__(self, "is_rate", self.limit.kind is Kind.RATE)
        object.__setattr__(self, "_span", _NO_SPAN)

    def __hash__(self) -> int:
        return hash(self.name)

    def assumed(self, amount: int) -> int:
        """What is settled of a hold whose worker dies before anything of it was seen."""
        return amount if self.limit.orphan is Orphan.RESERVED else 0

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
    """The limits of one organisation or team: its own, those of each of its end users, and of its keys; and of the `routes` on
    whose account the gateway's own calls are made, by the name of that (see core.call.Call.account).

    Of several `keys` that fit a key and count the same, the first is the one that holds.
    """

    own: tuple[Limit, ...] = ()
    each_user: tuple[Limit, ...] = ()
    keys: tuple[KeyLimits, ...] = ()
    routes: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a snapshot: by tenant name (`organisation`, `organisation/team`), and by model for all tenants together.

    `wildcards` are pairs of pattern (`openai/*`) and limits, the longest first: all names that one stands for share them. A
    name in `models`, limited or not, is none of theirs.
    `webhook` gets a warning when a share of a budget has been spent.
    """

    members: Mapping[str, MemberLimits] = field(default_factory=dict)
    models: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    wildcards: tuple[tuple[str, tuple[Limit, ...]], ...] = ()
    webhook: Provider | None = None
    _known: dict[tuple[str | None, ...], tuple[Account, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether nobody has a limit."""
        return not (self.members or self.models or self.wildcards)

    def accounts(self, tenant: Tenant, user: str | None, model: str) -> tuple[Account, ...]:
        """The accounts that a call touches."""
        if self.is_empty:
            return ()
        key = (tenant.name, tenant.key_id, tenant.key_name, user, model)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            of_caller = (each for each in self.of(tenant, user) if each.fits(model))
            found = self._known[key] = (*self.of_model(model), *of_caller)
        return found

    def shared(self) -> Iterator[Account]:
        """The accounts that are there before anybody calls: those of organisations, teams and models."""
        for name, member in self.members.items():
            yield from (account("team" if "/" in name else "org", name, limit) for limit in member.own)
        for name, limits in (*self.models.items(), *self.wildcards):
            yield from (account("model", name, limit) for limit in limits)

    def of(self, tenant: Tenant, user: str | None) -> tuple[Account, ...]:
        """The accounts of whoever calls, whatever the model; the widest first."""
        names = (tenant.org,) if tenant.team is None else (tenant.org, tenant.name)
        return tuple(account for name in names for account in self._of_member(name, tenant, user))

    def of_model(self, model: str) -> tuple[Account, ...]:
        """The accounts that all callers of a model share."""
        limits = self.models.get(model)
        if limits is not None:
            return tuple(account("model", model, limit) for limit in limits)
        for pattern, shared in self.wildcards:
            if model.startswith(pattern[:-1]):
                return tuple(account("model", pattern, limit) for limit in shared)
        return ()

    def _of_member(self, name: str, tenant: Tenant, user: str | None) -> Iterator[Account]:
        member = self.members.get(name)
        if member is None:
            return
        scope = "team" if "/" in name else "org"
        yield from (account(scope, name, limit) for limit in member.own)
        of_key: dict[Counted, Limit] = {}
        for rule in member.keys:
            if fnmatchcase(tenant.key_name, rule.pattern):
                for limit in rule.limits:
                    of_key.setdefault(limit.counted, limit)
        yield from (account("key", f"{name}/{tenant.key_id}", limit) for limit in of_key.values())
        if user is not None and user in member.routes:
            yield from (account("route", user, limit) for limit in member.routes[user])
        elif user is not None:
            yield from (account("user", f"{name}/{_short(user)}", limit) for limit in member.each_user)


def account(scope: str, subject: str, limit: Limit) -> Account:
    models = "" if not limit.models else "[" + ",".join(limit.models) + "]"
    return Account(scope, subject, limit, f"{scope}:{subject}:{limit.unit.value}{models}/{limit.window}")


def _short(user: str) -> str:
    """An end user's id as clients send it: one that is long or odd, or could be taken for another's, is told by its hash."""
    if _PLAIN_USER.fullmatch(user):
        return user
    return "#" + hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
