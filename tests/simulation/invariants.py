"""What holds after every operation of the ledger. A breach is raised as Broken, with the operation that made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from gateway.core.ledger.book import Open
from gateway.core.ledger.operations import (
    Draw,
    Ended,
    Granted,
    Line,
    Operation,
    Outcome,
    Renew,
    Reserve,
    Settle,
    Settled,
    Sweep,
    Swept,
)
from tests.simulation.tables import Rows

EVERY = 20
"""Operations after which all that is open is counted, and not only what was touched."""


class Broken(AssertionError):
    """An invariant does not hold."""


class Limits(Protocol):
    def hard(self, account: str) -> int | None:
        """The limit of an account that was never lowered; None when it has none."""
        ...


class Invariants:
    """ledger.Watch. `excess` is what providers have used above what was held, by account without its window."""

    def __init__(self, rows: Rows, limits: Limits, excess: Mapping[str, int], trace: Callable[[str], None]) -> None:
        self._excess = excess
        self._rows = rows
        self._limits = limits
        self._trace = trace
        self._before: dict[str, int] = {}
        self._over: dict[str, int] = {}
        self._was_open = False
        self._was_rebuilt = False
        self.operations = 0
        self.seen: Counter[str] = Counter()
        self.swept: set[str] = set()
        """Whose reservations were swept."""
        self.is_forgetful = False
        """The ledger's clock was set, so ids may have been forgotten too early, and what is told again is charged again."""
        self.may_come_again: set[str] = set()
        self.charged_again: Counter[str] = Counter()
        self.charged_for_orphans: Counter[str] = Counter()
        self.overdrawn_late: Counter[str] = Counter()
        """What was charged beyond limits to correct sweeps."""
        rows.before_forgetting = self._charge

    def before(self, operation: Operation, now: int) -> None:
        self._was_open = not isinstance(operation, Sweep) and operation.id in self._rows.open
        if isinstance(operation, Sweep):  # which lets nothing leave a window
            self._before = {name: row.settled + row.over for name, row in self._rows.accounts.items()}
        else:
            touched = self._touched(operation)
            self._before = {name: self._spent(name, now) for name in touched}
            rows = self._rows.accounts
            self._over = {name: rows[name].over if name in rows else 0 for name in touched}

    def after(self, operation: Operation, outcome: Outcome, now: int, *, is_replayed: bool) -> None:
        self.operations += 1
        self.seen[f"{type(operation).__name__} {type(outcome).__name__}"] += 1
        self._was_rebuilt |= is_replayed
        self._trace(f"{'replayed ' if is_replayed else ''}{_told(operation)} -> {_told_outcome(outcome)}")
        if isinstance(operation, Draw | Settle):
            self._charge()
        self._note_end(operation, outcome)
        for name in self._before:
            self._check_account(name)
            if not is_replayed:  # what is told again is in no order, so too much may be held until all of it is there
                self._check_limit(name)
        if not is_replayed:
            self._check_grant(operation, outcome)
        if self.operations % EVERY == 0:
            self.check_held()

    def check_held(self) -> None:
        """I2: what accounts hold is what open reservations hold, slices apart."""
        held: Counter[str] = Counter()
        escrowed: Counter[str] = Counter()
        for opened in self._rows.open.values():
            for part in opened.parts:
                held[part.account] += part.held
                escrowed[part.account] += part.held * opened.is_slice
        for name, account in self._rows.accounts.items():
            if (account.held, account.escrowed) != (held.pop(name, 0), escrowed[name]):
                raise Broken(f"I2: {name} holds {account}, and open reservations something else")
        if any(held.values()):
            raise Broken(f"I2: held in accounts that are not there: {dict(held)}")

    def _touched(self, operation: Operation) -> Collection[str]:
        names = [line.account for line in _lines(operation)]
        opened: Open | None = self._rows.open.get(_id(operation))
        return dict.fromkeys([*names, *(part.account for part in opened.parts)]) if opened else dict.fromkeys(names)

    def _spent(self, name: str, now: int) -> int:
        account = self._rows.accounts.get(name)
        if account is None:
            return 0
        account.leave(now)
        return int(account.settled + account.over)

    def _charge(self) -> None:
        """Notes what accounts were charged in all, whatever leaves their window later."""
        for name, before in self._before.items():
            account = self._rows.accounts.get(name)
            if account is not None and (change := account.settled + account.over - before):
                self._rows.charged[name] = self._rows.charged.get(name, 0) + change

    def _check_account(self, name: str) -> None:
        account = self._rows.accounts.get(name)
        if account is None:
            return
        if min(account.settled, account.over, account.held, account.escrowed, account.base) < 0:
            raise Broken(f"an amount below nothing: {name} {account}")
        if account.bucket and sum(account.buckets.values()) != account.settled + account.over:
            raise Broken(f"I5: {name} {account}")
        charged = self._rows.charged.get(name, 0)
        if not account.bucket and charged != account.settled + account.over:
            raise Broken(f"I5: {name} was charged {charged} and is at {account}")

    def _check_limit(self, name: str) -> None:
        account = self._rows.accounts.get(name)
        limit = self._limits.hard(name)
        if account is None or limit is None or account.base:
            return
        if self._was_rebuilt:  # what is told again is held again, though there may be less room for it
            limit += self._excess[name.rpartition("|")[0]]
        if account.held + account.settled > limit:
            raise Broken(f"I1: {name} of {limit} is at {account}")

    def _check_grant(self, operation: Operation, outcome: Outcome) -> None:
        """I1, whatever became of the limit: nothing new is held beyond it."""
        if not isinstance(outcome, Granted) or self._was_open or not isinstance(operation, Reserve | Draw):
            return
        for line in _lines(operation):
            account = self._rows.accounts[line.account]
            if line.limit is not None and line.amount and account.held and account.spent + account.held > line.limit:
                new = self._rows.open[operation.id].parts
                if any(part.held for part in new if part.account == line.account):
                    raise Broken(f"I1: {operation} was granted: {account}")

    def _note_end(self, operation: Operation, outcome: Outcome) -> None:
        """I3: each id ends once, and a swept one is corrected once."""
        ends = self._rows.ends
        match operation, outcome:
            case Sweep(), Swept(owners):
                self.swept.update(owners.values())
                for id in owners:
                    self._end(id, "swept", {None})
                    for name, (charged, _) in (self._rows.gone[id].swept or {}).items():
                        self.charged_for_orphans[name.rpartition("|")[0]] += charged
            case Settle(), Settled():
                if ends.get(operation.id) == "swept":
                    self._note_correction()
                is_excused = self.is_forgetful or operation.id in self.may_come_again
                if is_excused and ends.get(operation.id) == "settled":
                    self.charged_again.update(
                        {line.account.rpartition("|")[0]: line.amount for line in operation.lines}
                    )
                else:
                    self._end(operation.id, "settled", {None, "swept"})
            case ((Reserve() | Draw() | Renew()), Granted()):
                if ends.get(operation.id) is not None:
                    raise Broken(f"I3: {operation.id} was {ends[operation.id]} and is open again")

    def _note_correction(self) -> None:
        for name, before in self._over.items():
            account = self._rows.accounts.get(name)
            if account is not None and account.over > before:
                self.overdrawn_late[name.rpartition("|")[0]] += account.over - before

    def _end(self, id: str, how: str, may_be: set[str | None]) -> None:
        if (before := self._rows.ends.get(id)) not in may_be:
            raise Broken(f"I3: {id} was {before} and is {how} again")
        self._rows.ends[id] = how


def _lines(operation: Operation) -> Iterable[Line]:
    match operation:
        case Draw():
            return (operation.line,)
        case Reserve() | Renew() | Settle():
            return operation.lines
        case _:
            return ()


def _id(operation: Operation) -> str:
    return "" if isinstance(operation, Sweep) else operation.id


def _told(operation: Operation) -> str:
    lines = [
        f"{line.account}={line.amount}" + (f" used {line.used}" if line.used else "")
        for line in _lines(operation)
        if line.amount or line.used
    ]
    return f"{type(operation).__name__} {_id(operation)} {' '.join(lines)}"


def _told_outcome(outcome: Outcome) -> str:
    return "Ended" if isinstance(outcome, Ended) else str(outcome)
