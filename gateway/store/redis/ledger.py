"""The ledger in Redis: one script, sent by its hash, applies a whole batch.

The script is put together from the parts in `lua/`, which say what gateway/core/ledger says. It knows for which run of
the server the ledger is whole; after a restart or a failover, which may have lost the last operations, and after a
flush, which has lost all, it refuses everything until the workers have told what they know.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

import msgspec

from gateway.core.ledger import account, book
from gateway.core.ledger.operations import (
    BUCKETS,
    NEVER,
    Applied,
    Balance,
    Corrupt,
    Draw,
    Ended,
    Granted,
    Operation,
    Outcome,
    Rebuilding,
    Refused,
    Renew,
    Reserve,
    Settled,
    Stale,
    Sweep,
    Swept,
)
from gateway.store.contract import OWNER_TTL, corrupt
from gateway.store.redis.names import LEDGER
from gateway.store.redis.server import Script, Server

GATHERING = 1_500
"""Milliseconds for which workers are waited for after a flush, when nobody knows who they are."""
POSTPONED = 60_000
"""Milliseconds until a reservation that cannot be swept, for a row it needs cannot be read, is tried again."""
ACCOUNTS_FORGOTTEN = 100
"""Accounts looked at by one sweep, whether they can be forgotten."""
PAGE = 200
"""Rows of one answer, and operations replayed at once, so that each keeps within the deadline."""
PARTS = ("request.lua", "account.lua", "rows.lua", "book.lua", "ledger.lua")
CONSTANTS: Mapping[str, int | str] = {
    "PREFIX": LEDGER,
    "BUCKETS": BUCKETS,
    "NEVER": NEVER,
    "KEPT": book.KEPT,
    "ORPHANS_KEPT": book.ORPHANS_KEPT,
    "ONCE_KEPT": book.ONCE_KEPT,
    "ACCOUNTS_KEPT": account.KEPT,
    "OWNERS_KEPT": int(OWNER_TTL * 1000),
    "GATHERING": GATHERING,
    "POSTPONED": POSTPONED,
    "ACCOUNTS_FORGOTTEN": ACCOUNTS_FORGOTTEN,
    "PAGE": PAGE,
}

WHOLE, FLUSHED, CORRUPT = "whole", "flushed", "corrupt"
"""States of the ledger, in the script's words."""

_Named = tuple[str, Operation]
_Word = str | bool | Sequence[_Named] | Sequence[Balance]


@dataclass(frozen=True, slots=True)
class _Run:
    """The ledger as it was made once, and the run of the server that has it; empty: not known yet."""

    epoch: str = ""
    server: str = ""


class _Outcome(msgspec.Struct, array_like=True, frozen=True):
    kind: int
    first: tuple[int, ...] = ()
    second: tuple[int, ...] = ()
    owners: tuple[tuple[str, str], ...] = ()
    row: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    operations: Sequence[_Named] = ()
    balances: Sequence[Balance] = ()


_NOTHING = _Page()


class _Answer(msgspec.Struct, array_like=True, frozen=True):
    state: str
    epoch: str
    server: str
    now: int
    outcomes: tuple[_Outcome, ...]


_OUTCOMES: Sequence[Callable[[_Outcome], Outcome]] = (
    lambda row: Granted(row.first, row.second),
    lambda row: Refused(row.first, row.second),
    lambda row: Stale(),
    lambda row: Settled(row.first[0]),
    lambda row: Ended(),
    lambda row: Swept(dict(row.owners)),
    lambda row: Corrupt(row.row),
)
"""By the number that the script gives each kind."""
_BalanceRow = tuple[str, int | bool, int, int, int, int, int, int, int, int]
_answer = msgspec.msgpack.Decoder(_Answer).decode
_balances = msgspec.msgpack.Decoder(tuple[str, tuple[_BalanceRow, ...]]).decode
_owners = msgspec.msgpack.Decoder(tuple[str, tuple[tuple[str, str], ...]]).decode


class RedisLedger:
    """See contract.LedgerStore."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._script = Script.of(_text())
        self._known = _Run()
        self._told = _Run()

    async def apply(self, operations: Sequence[Operation]) -> Applied:
        answer = await self._asked("apply", operations=_named(operations))
        self._check(answer)
        return Applied(answer.now, tuple([_OUTCOMES[row.kind](row) for row in answer.outcomes]))

    async def balances(self) -> Sequence[Balance]:
        found: dict[str, Balance] = {}
        after = "0"
        while True:
            after, rows = _balances(await self._reply("balances", after=after))
            found.update((row[0], _balance(row)) for row in rows)
            if after == "0":
                return list(found.values())

    async def open_reservations(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        after = "0"
        while True:
            after, rows = _owners(await self._reply("open", after=after))
            found.update(rows)
            if after == "0":
                return found

    async def announce(self, owner: str) -> None:
        self._check(await self._asked("announce", owner=owner))

    async def restore(self, owner: str, operations: Sequence[Operation], balances: Sequence[Balance]) -> bool:
        if self._told != _Run():
            answer = await self._restored(owner)
            if _run_of(answer) == self._told:
                return self._is_whole(answer)
        is_new = self._known == _Run() and not operations and not balances
        pages = _pages(_named([_forced(each) for each in operations if not isinstance(each, Sweep)]), balances)
        server = ""
        for page in pages[:-1]:
            server = (await self._restored(owner, page, told=server)).server
        answer = await self._restored(owner, pages[-1], told=server, is_new=is_new, is_last=True)
        if server in {"", answer.server}:
            self._told = _run_of(answer)
            return self._is_whole(answer)
        return False

    async def _restored(
        self, owner: str, page: _Page = _NOTHING, *, told: str = "", is_new: bool = False, is_last: bool = False
    ) -> _Answer:
        return await self._asked(
            "restore",
            owner=owner,
            operations=page.operations,
            balances=page.balances,
            new_epoch=secrets.token_hex(8),
            told=told,
            is_new=is_new,
            is_last=is_last,
        )

    def _is_whole(self, answer: _Answer) -> bool:
        if answer.state != WHOLE:
            return False
        self._known, self._told = self._told, _Run()
        return True

    def _check(self, answer: _Answer) -> None:
        if answer.state != WHOLE:
            raise Rebuilding(flushed=answer.state == FLUSHED)
        self._known = _run_of(answer)

    async def _asked(self, ask: str, **words: _Word) -> _Answer:
        answer = _answer(await self._reply(ask, epoch=self._known.epoch, run=self._known.server, **words))
        if answer.state == CORRUPT:
            raise corrupt()
        return answer

    async def _reply(self, ask: str, **words: _Word) -> bytes:
        request = {"ask": ask, **words}
        reply: bytes = await self._server.kept_script(self._script, (LEDGER + "meta",), msgspec.msgpack.encode(request))
        return reply


def _run_of(answer: _Answer) -> _Run:
    return _Run(answer.epoch, answer.server)


def _pages(operations: Sequence[_Named], balances: Sequence[Balance]) -> Sequence[_Page]:
    """Balances first; one page at least."""
    pages = [_Page(balances=balances[first : first + PAGE]) for first in range(0, len(balances), PAGE)]
    pages += [_Page(operations[first : first + PAGE]) for first in range(0, len(operations), PAGE)]
    return pages or [_NOTHING]


def _named(operations: Sequence[Operation]) -> Sequence[_Named]:
    return [(type(operation).__name__, operation) for operation in operations]


def _forced(operation: Operation) -> Operation:
    """What was granted once is held again, whatever the limit says now."""
    match operation:
        case Reserve() | Renew():
            return replace(operation, lines=tuple(replace(line, limit=None) for line in operation.lines))
        case Draw():
            return replace(operation, line=replace(operation.line, limit=None))
        case _:
            return operation


def _balance(row: _BalanceRow) -> Balance:
    name, limit, *numbers = row
    return Balance(name, None if limit is False else limit, *numbers)


def _text() -> str:
    constants = "".join(f"local {name} = {value!r}\n" for name, value in CONSTANTS.items())
    folder = files("gateway.store.redis") / "lua"
    return constants + "".join((folder / part).read_text() for part in PARTS)
