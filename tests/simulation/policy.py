"""The limits of the simulated policy, which somebody changes now and then."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from gateway.budget.limits import Kind, Limit, Limits, MemberLimits, Orphan, Unit
from gateway.budget.windows import Calendar, Forever, Period, Rolling
from gateway.core.tenant import Tenant

ORG = "acme"
TEAMS = ("acme/red", "acme/blue", "acme/green")
TENANTS = tuple(Tenant(ORG, team.partition("/")[2], f"key {team}", "key") for team in TEAMS)


class Policy:
    """`limits` is what new calls get. Every call is of a team, so the organisation's accounts are the sums of the teams'."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._scale = random.choice((0.3, 1, 1, 3, 20))
        self.orphan = random.choice((Orphan.OBSERVED, Orphan.OBSERVED, Orphan.RESERVED, Orphan.RELEASE))
        self._factors: dict[str, float] = {}
        self._hard: dict[str, int] = {}
        self._lowered: set[str] = set()
        self.limits = self._compiled()

    def hard(self, account: str) -> int | None:
        """The largest amount that a hard limit ever had; None for other accounts, and where it was lowered."""
        name = account.rpartition("|")[0]
        return None if name in self._lowered else self._hard.get(name)

    def change(self) -> str:
        """Raises or lowers the limits of one member."""
        member = self._random.choice((ORG, *TEAMS))
        factor = self._random.choice((0.3, 0.8, 1, 1, 1.5, 4))
        self._factors[member] = factor
        self.limits = self._compiled()
        return f"the limits of {member} are {factor} times what they were at first"

    def _compiled(self) -> Limits:
        members = {ORG: MemberLimits(own=self._scaled(ORG, self._limits(3)))}
        for team in TEAMS:
            members[team] = MemberLimits(
                own=self._scaled(team, self._limits(1)), each_user=(self._limit(Unit.TOKENS, 30_000, Period.HOUR),)
            )
        limits = Limits(members=members)
        self._note(limits)
        return limits

    def _limits(self, times: float) -> tuple[Limit, ...]:
        return (
            self._limit(Unit.TOKENS, 60_000 * times, Period.MINUTE),
            self._limit(Unit.TOKENS, 1_000_000 * times, Period.HOUR),
            replace(self._limit(Unit.USD, 4_000_000 * times, Period.DAY), window=Forever()),
            replace(self._limit(Unit.USD, 100_000 * times, Period.DAY), hard=False),
            replace(self._limit(Unit.REQUESTS, 400 * times, Period.DAY), window=Rolling(60), kind=Kind.RATE),
            replace(self._limit(Unit.CALLS, 60 * times, Period.DAY), window=Forever(), kind=Kind.RATE),
        )

    def _limit(self, unit: Unit, amount: float, period: Period) -> Limit:
        return Limit(unit, max(1, int(amount * self._scale)), Calendar(period), orphan=self.orphan)

    def _scaled(self, member: str, limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        factor = self._factors.get(member, 1.0)
        return tuple(replace(limit, amount=max(1, int(limit.amount * factor))) for limit in limits)

    def _note(self, limits: Limits) -> None:
        for tenant in TENANTS:
            for user in ("ann", "bob"):
                for account in limits.of(tenant, user):
                    before, amount = self._hard.get(account.name, 0), account.limit.amount
                    if account.limit.hard:
                        if amount < before:
                            self._lowered.add(account.name)
                        self._hard[account.name] = max(before, amount)
