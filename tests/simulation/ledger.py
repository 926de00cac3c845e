"""The shared ledger: what gateway/store/redis/lua/ledger.lua does, in Python, so that the workers' own clients speak to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from gateway.core.ledger import book
from gateway.core.ledger.operations import (
    Balance,
    Draw,
    Ended,
    Granted,
    Once,
    Operation,
    Outcome,
    Refused,
    Renew,
    Reserve,
    Settle,
    Settled,
    Stale,
    Sweep,
    Swept,
)
from gateway.store.contract import OWNER_TTL
from gateway.store.redis.ledger import GATHERING
from tests.simulation.tables import Rows

LAG = 20.0
"""Seconds of its latest history that a ledger may lose, if it does not lose everything."""
_KEPT = int(OWNER_TTL * 1000)
_KINDS: dict[str, type[Operation]] = {kind.__name__: kind for kind in (Reserve, Renew, Draw, Settle, Sweep, Once)}


class _Request(msgspec.Struct):
    ask: str
    epoch: str
    run: str
    owner: str = ""
    operations: list[tuple[str, msgspec.Raw]] = []
    balances: list[Balance] = []
    new_epoch: str = ""
    told: str = ""
    is_new: bool = False
    is_last: bool = False


_request = msgspec.msgpack.Decoder(_Request).decode
_decoders = {name: msgspec.msgpack.Decoder(kind).decode for name, kind in _KINDS.items()}
_encode = msgspec.msgpack.Encoder().encode


class Watch(Protocol):
    """Sees each operation before and after it is applied. `is_replayed`: to a ledger that is being rebuilt."""

    def before(self, operation: Operation, now: int) -> None: ...

    def after(self, operation: Operation, outcome: Outcome, now: int, *, is_replayed: bool) -> None: ...


class Shared:
    """`wall` and `lease` give milliseconds: what windows and what leases go by."""

    def __init__(self, time: Callable[[], float], wall: Callable[[], int], lease: Callable[[], int]) -> None:
        self.rows = Rows()
        self.server = "run 1"
        self.watch: Watch | None = None
        self.joined_late: dict[str, float] = {}
        """Who told what it knew of the ledger before only when this one was whole, and when it had."""
        self._time = time
        self._wall = wall
        self._lease = lease

    @property
    def is_whole(self) -> bool:
        return bool(self.rows.meta.get("epoch")) and self.rows.meta.get("run") == self.server

    def restart(self, server: str, *, lost: int) -> int:
        """Begins another run without what the last so many requests did, as far as they are not old."""
        self.server = server
        return self.rows.undo.undo(lost, since=self._time() - LAG)

    def answer(self, argument: bytes) -> bytes:
        asked = _request(argument)
        self.rows.undo.begin(self._time())
        now = self._wall()
        match asked.ask:
            case "apply":
                return self._apply(asked, now)
            case "announce":
                self._meet(asked.owner, now)
                return self._told(self._state(asked), now)
            case _:
                return self._restore(asked, now)

    def _apply(self, asked: _Request, now: int) -> bytes:
        state = self._state(asked)
        outcomes = self._apply_all(asked, now, is_replayed=False) if state == "whole" else []
        return self._told(state, now, outcomes)

    def _apply_all(self, asked: _Request, now: int, *, is_replayed: bool) -> list[Outcome]:
        outcomes = []
        for kind, raw in asked.operations:
            operation: Operation = _decoders[kind](raw)
            assert self.watch is not None
            self.watch.before(operation, now)
            outcome = book.apply(self.rows, operation, now=now, lease_now=self._lease())
            self.watch.after(operation, outcome, now, is_replayed=is_replayed)
            outcomes.append(outcome)
        return outcomes

    def _state(self, asked: _Request) -> str:
        meta = self.rows.meta
        if not meta.get("epoch") or asked.epoch not in {"", meta["epoch"]}:
            return "flushed"
        if meta.get("run") != self.server:
            return "flushed" if meta["lost"] == "all" else "restarted"
        return "whole" if asked.run in {"", meta["run"]} else "restarted"

    def _restore(self, asked: _Request, now: int) -> bytes:
        meta = self.rows.meta
        self._begin_rebuilding(asked, now)
        self.rows.owners[asked.owner] = now
        is_another = asked.epoch not in {"", meta["epoch"]}
        if is_another and self.is_whole:
            self.joined_late[asked.owner] = self._time()
        if is_another or (meta.get("run") != self.server and meta["lost"] == "all"):
            for seen in asked.balances:
                book.raise_base(self.rows, seen, now)
        self._apply_all(asked, now, is_replayed=True)
        if asked.is_last and asked.told in {"", self.server}:
            self.rows.ready[asked.owner] = self.server
        if meta.get("run") != self.server and self._are_all_ready(now):
            meta["run"], meta["lost"], meta["since"] = self.server, "some", str(now)
        return self._told("whole" if meta.get("run") == self.server else "restarted", now)

    def _begin_rebuilding(self, asked: _Request, now: int) -> None:
        meta = self.rows.meta
        if not meta.get("epoch"):
            meta["epoch"], meta["lost"], meta["pending"] = asked.new_epoch, "all", self.server
            meta["waits"] = str(0 if asked.is_new else now + GATHERING)
        elif meta.get("run") != self.server and meta.get("pending") != self.server:
            for owner in list(self.rows.owners):
                self.rows.owners[owner] = now
            meta["pending"], meta["waits"] = self.server, "0"
        else:
            return
        for owner in list(self.rows.ready):
            del self.rows.ready[owner]

    def _are_all_ready(self, now: int) -> bool:
        if now < int(self.rows.meta["waits"]):
            return False
        return all(
            self.rows.ready.get(owner) == self.server
            for owner, announced in self.rows.owners.items()
            if announced >= now - _KEPT
        )

    def _meet(self, owner: str, now: int) -> None:
        self.rows.owners[owner] = now
        for each in [each for each, announced in self.rows.owners.items() if announced <= now - _KEPT]:
            del self.rows.owners[each]

    def _told(self, state: str, now: int, outcomes: Sequence[Outcome] = ()) -> bytes:
        rows = [_row(outcome) for outcome in outcomes]
        return _encode((state, self.rows.meta.get("epoch", ""), self.server, now, rows))


def _row(outcome: Outcome) -> Sequence[object]:
    match outcome:
        case Granted(spent, held):
            return (0, spent, held)
        case Refused(left, fits_at):
            return (1, left, fits_at)
        case Stale():
            return (2,)
        case Settled(over):
            return (3, (over,))
        case Ended():
            return (4,)
        case Swept(owners):
            return (5, (), (), tuple(owners.items()))
        case _:
            raise AssertionError(outcome)
