"""Between the calls of one worker and the ledger: operations go in batches, and what has been spent is told until it is heard.

A batch leaves as soon as there is something to send, and what comes while batches are under way goes with the next one: a
busy worker pays for few round trips. Nobody waits longer than the ledger itself lets its callers wait.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import Applied, Balance, Line, Operation, Outcome, Rebuilding, Settle
from gateway.core.tasks import Tasks

BATCH = 64
"""Operations sent at once, at most."""
UNDER_WAY = 4
"""Batches sent before an answer has come."""
AGAIN = 0.25
"""Seconds between two attempts to tell what was not heard."""
REPLAYED = 120.0
"""Seconds for which settled operations are remembered, to be told again to a ledger that lost its last moments."""
DOUBT = 0.5
"""Seconds by which the answers to two batches may have overtaken each other."""
REMEMBERED = 20_000
"""Operations and balances remembered at most."""

log = logging.getLogger("llmgw.budget")


class Ledger(Protocol):
    """Where accounts are kept; see store.contract for what it promises."""

    async def apply(self, operations: Sequence[Operation]) -> Applied: ...

    async def balances(self) -> Sequence[Balance]: ...

    async def announce(self, owner: str) -> None: ...

    async def restore(self, owner: str, operations: Sequence[Operation], balances: Sequence[Balance]) -> bool: ...


@dataclass(slots=True)
class _Asked:
    operation: Operation
    answer: asyncio.Future[Outcome] | None


class Teller:
    """`standing` gives the operations that open again, in a ledger that lost them, what this worker still holds. `note` gets
    what is settled before it is told, `heard` its ids and the ledger's time once it has been heard."""

    def __init__(
        self, ledger: Ledger, owner: str, *, note: Callable[[Settle], None], tasks: Tasks, clock: Clock
    ) -> None:
        self.owner = owner
        self.standing: Callable[[bool], Iterable[Operation]] = lambda flushed: ()
        self.heard: Callable[[Sequence[str], int], None] = lambda ids, now: None
        self._ledger = ledger
        self._note = note
        self._tasks = tasks
        self._monotonic = clock.monotonic
        self._ahead = clock.now() - clock.monotonic()
        self._queue: deque[_Asked] = deque()
        self._untold: deque[Operation] = deque()
        self._unheard: dict[str, Settle] = {}
        self._recent: deque[tuple[float, Settle]] = deque()
        self._balances: dict[str, Balance] = {}
        self._seen_at: dict[str, float] = {}
        self._unseen: dict[str, Line] = {}  # sums of what was settled long ago, in accounts that were not seen since
        self._under_way = 0
        self._is_away = False
        self._flushing = False
        self._rebuilding: Rebuilding | None = None
        self._rebuilt_at = self._monotonic()
        self._known: Sequence[Operation] | None = None
        self._retelling = asyncio.Lock()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    @property
    def now(self) -> int:
        """The ledger's clock in milliseconds, as far as it is known here."""
        return int((self._monotonic() + self._ahead) * 1000)

    @property
    def is_away(self) -> bool:
        """Whether the ledger did not answer when it was last asked."""
        return self._is_away or self._rebuilding is not None

    @property
    def untold(self) -> int:
        """Operations that have not been heard yet."""
        return len(self._unheard)

    def unheard(self) -> Iterable[Settle]:
        """What was told and has not been heard yet."""
        return self._unheard.values()

    async def ask(self, operation: Operation) -> Outcome:
        """The answer. Raises Overloaded when there is none in time; the operation may have been applied all the same."""
        if self._rebuilding is not None:
            raise unavailable()
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._put(_Asked(operation, answer))
        return await answer

    def tell(self, operation: Settle) -> None:
        """Sends it, and again until it is heard."""
        self._note(operation)
        self._unheard[operation.id] = operation
        self._put(_Asked(operation, None))

    def see(self, balance: Balance) -> None:
        """Remembers how an account stood, for a ledger that loses everything."""
        name = balance.account
        self._balances[name], self._seen_at[name] = balance, self._monotonic()
        self._unseen.pop(name, None)
        if len(self._balances) > REMEMBERED:
            oldest = next(iter(self._balances))
            del self._balances[oldest], self._seen_at[oldest]

    async def run(self) -> None:
        """Tells what was not heard, and helps to rebuild a ledger that lost something. Runs until it is cancelled."""
        while True:
            self._wake.clear()
            with suppress(Overloaded):
                await self._keep_up()
            await _either(self._wake, AGAIN)

    async def told(self) -> None:
        """Waits until what was told before has been heard, or could not be."""
        if self._queue or self._under_way:
            self._idle.clear()
            await _either(self._idle, 1.0)

    async def balances(self) -> Sequence[Balance]:
        """Every account of the ledger. Raises Overloaded."""
        return await self._ledger.balances()

    async def close(self, seconds: float) -> None:
        """Waits until everything told has been heard, for so long at most."""
        until = self._monotonic() + seconds
        while (self._under_way or self.untold) and self._monotonic() < until:
            if self._untold and not self._under_way:
                await self._retell_quietly()
            await asyncio.sleep(0.005)

    def _put(self, asked: _Asked) -> None:
        self._queue.append(asked)
        if not self._flushing and self._under_way < UNDER_WAY:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        while self._queue and self._under_way < UNDER_WAY:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._under_way += 1
            self._tasks.start(self._send(batch), name="ledger")

    async def _send(self, batch: Sequence[_Asked]) -> None:
        error, outcomes = unavailable(), None
        try:
            outcomes = (await self._apply([asked.operation for asked in batch])).outcomes
        except Overloaded as found:
            error = found
        finally:  # a mistake of ours leaves nobody waiting either, and takes no money with it
            if outcomes is None:
                self._failed((*batch, *self._queue), error)
                self._queue.clear()
            else:
                _answer(batch, outcomes)
            self._under_way -= 1
            if self._queue:
                self._flush()
            elif not self._under_way:
                self._idle.set()

    async def _apply(self, operations: Sequence[Operation]) -> Applied:
        if self._rebuilding is not None:
            raise unavailable()
        try:
            applied = await self._ledger.apply(operations)
        except Rebuilding as error:
            self._begin_rebuilding(error)
            raise unavailable() from None
        except Overloaded:
            self._is_away = True
            raise
        self._is_away = False
        self._ahead = applied.now / 1000 - self._monotonic()
        self._remember(operations, applied.now)
        return applied

    def _remember(self, operations: Sequence[Operation], ledger_now: int) -> None:
        now = self._monotonic()
        settled = [operation for operation in operations if isinstance(operation, Settle)]
        self._recent.extend((now, settle) for settle in settled)
        for settle in settled:
            self._unheard.pop(settle.id, None)
        if settled:
            self.heard([settle.id for settle in settled], ledger_now)
        is_quiet = self._rebuilt_at < now - REPLAYED  # else what it was told then may be lost again
        while self._recent and ((is_quiet and self._recent[0][0] < now - REPLAYED) or len(self._recent) > REMEMBERED):
            self._let_go(*self._recent.popleft())

    def _failed(self, asked: Iterable[_Asked], error: Overloaded) -> None:
        for each in asked:
            if each.answer is None:
                self._untold.append(each.operation)
            elif not each.answer.done():
                each.answer.set_exception(error)

    async def _keep_up(self) -> None:
        try:
            await self._ledger.announce(self.owner)
        except Rebuilding as error:
            self._begin_rebuilding(error)
        if self._rebuilding is not None:
            await self._rebuild(self._rebuilding)
        if self._untold and self._rebuilding is None:
            await self._retell()

    def _begin_rebuilding(self, found: Rebuilding) -> None:
        if self._rebuilding is not None and self._rebuilding.flushed >= found.flushed:
            return
        if self._balances or self._recent:
            log.warning("the ledger is being rebuilt", extra={"lost_everything": found.flushed})
        self._rebuilding, self._known = found, None
        self._wake.set()

    async def _rebuild(self, found: Rebuilding) -> None:
        if self._known is None:  # once: what is said twice must be the same
            if found.flushed:
                self._drop_what_was_seen()
            recent = (settle for _, settle in self._recent)
            self._known = [*self.standing(found.flushed), *recent, *self._untold]
        if await self._ledger.restore(self.owner, self._known, list(self._balances.values())):
            if self._known or self._balances:
                log.warning("the ledger is whole again")
            self._rebuilding = self._known = None
            self._rebuilt_at = self._monotonic()

    def _drop_what_was_seen(self) -> None:
        """What the new ledger will have in its sums, and not by its ids: nobody may tell it again, nor read it in our journal."""
        left = list(self._not_seen())
        if self._unseen:
            left.append((self._monotonic(), Settle("unseen:" + secrets.token_hex(12), tuple(self._unseen.values()))))
            self._unseen.clear()
        ids = {settle.id for _, settle in left}
        self.heard([settle.id for _, settle in self._recent if settle.id not in ids], 0)
        self._recent = deque(left)

    def _not_seen(self) -> Iterable[tuple[float, Settle]]:
        """What was settled since its accounts were last seen, or just before: better counted twice than not at all."""
        for at, settle in self._recent:
            if lines := self._lines_not_seen(at, settle):
                yield at, Settle(settle.id, lines)

    def _lines_not_seen(self, at: float, settle: Settle) -> tuple[Line, ...]:
        lines = (line for line in settle.lines if at > self._seen_at.get(line.account, 0.0) - DOUBT)
        return tuple(replace(line, amount=line.amount - line.used, used=0) for line in lines)

    def _let_go(self, at: float, settle: Settle) -> None:
        """Forgets its id, but what it came to only if the account has been seen since."""
        for line in self._lines_not_seen(at, settle):
            before = self._unseen.pop(line.account, None)
            self._unseen[line.account] = replace(line, amount=line.amount + (before.amount if before else 0))
            if len(self._unseen) > REMEMBERED:
                del self._unseen[next(iter(self._unseen))]

    async def _retell(self) -> None:
        async with self._retelling:  # a worker that closes does this while its loop may still do so
            while self._untold:
                batch = [self._untold[index] for index in range(min(BATCH, len(self._untold)))]
                await self._apply(batch)
                for _ in batch:
                    self._untold.popleft()

    async def _retell_quietly(self) -> None:
        try:
            await self._retell()
        except Overloaded:
            await asyncio.sleep(AGAIN)


def _answer(batch: Sequence[_Asked], outcomes: Sequence[Outcome]) -> None:
    for asked, outcome in zip(batch, outcomes, strict=True):
        if asked.answer is not None and not asked.answer.done():
            asked.answer.set_result(outcome)


def unavailable() -> Overloaded:
    return Overloaded(
        "Budgets cannot be checked at the moment; try again shortly.", code="budget_store_unavailable", retry_after=2
    )


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
