"""What must be true once everything has healed and every call has ended: the accounts say what was really used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.budget.limits import Orphan
from tests.simulation.invariants import Broken, Invariants
from tests.simulation.ledger import Shared
from tests.simulation.oracle import Oracle
from tests.simulation.policy import ORG, TEAMS, Policy

HARSH = {"failover", "flush"}
"""Faults after which more may be held than there is."""


class Healed(Protocol):
    @property
    def shared(self) -> Shared: ...

    @property
    def oracle(self) -> Oracle: ...

    @property
    def invariants(self) -> Invariants: ...

    @property
    def policy(self) -> Policy: ...

    @property
    def faults(self) -> Sequence[str]: ...


def check_healed(world: Healed) -> None:
    """Raises Broken."""
    rows = world.shared.rows
    held = {name: account for name, account in rows.accounts.items() if account.held}
    if held or rows.open:
        raise Broken(f"held when all has ended: {held} {rows.open}")
    spent, rolling = _spent(world)
    _check_usage(world, spent, rolling)
    _check_overdrafts(world)
    if not world.oracle.was_flushed:
        _check_sums(spent, rolling, world.oracle.slack + world.invariants.charged_again)


def _spent(world: Healed) -> tuple[Counter[str], set[str]]:
    """What each account, all its windows together, was charged; and which of them are rolling."""
    rows = world.shared.rows
    spent: Counter[str] = Counter()
    rolling = set()
    for name, account in rows.accounts.items():
        whole = name.rpartition("|")[0]
        if account.bucket:
            rolling.add(whole)
        else:
            spent[whole] += account.spent
    for name, charged in rows.charged.items():
        whole = name.rpartition("|")[0]
        if whole in rolling:
            spent[whole] += charged
    return spent, rolling


def _check_usage(world: Healed, spent: Counter[str], rolling: set[str]) -> None:
    """I6."""
    lower, upper = world.oracle.lower, world.oracle.upper + world.invariants.charged_again
    if (
        world.policy.orphan is Orphan.RESERVED
    ):  # calls, too, whose workers were killed before they heard that they may go
        upper += world.invariants.charged_for_orphans
    for name in sorted({*lower, *spent}):
        is_forgotten = name not in spent and "60s" in name
        if spent[name] < lower[name] and not is_forgotten and not (name in rolling and world.oracle.was_flushed):
            raise Broken(f"I6: {name} is at {spent[name]}; {lower[name]} to {upper[name]} was used")
        if spent[name] > upper[name] and not (name in rolling and world.invariants.swept):
            raise Broken(f"I6: {name} is at {spent[name]}; {lower[name]} to {upper[name]} was used")


def _check_overdrafts(world: Healed) -> None:
    """Only a provider that uses more than its cap makes an overdraft, and a worker that was silent for longer than its lease."""
    if not HARSH.isdisjoint(world.faults):
        return
    over: Counter[str] = Counter()
    for name, account in world.shared.rows.accounts.items():
        over[name.rpartition("|")[0]] += account.over
    for name, amount in over.items():
        late = world.invariants.overdrawn_late + world.invariants.charged_again
        explained = world.oracle.excess[name] + late[name]
        if amount > explained:
            raise Broken(f"{name} is overdrawn by {amount}; providers and late comers made {explained} of that")


def _check_sums(spent: Counter[str], rolling: set[str], slack: Mapping[str, int]) -> None:
    """I4: what an organisation has spent is the sum of its teams', but for what killed workers had under way."""
    for name in spent:
        if name.startswith(f"org:{ORG}:") and name not in rolling:
            of_teams = [f"team:{team}:{name.removeprefix(f'org:{ORG}:')}" for team in TEAMS]
            difference = abs(spent[name] - sum(spent[each] for each in of_teams))
            if difference > slack[name]:
                raise Broken(f"I4: {name} is off by {difference} from {of_teams}")
