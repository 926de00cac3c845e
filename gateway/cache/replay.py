"""Idempotent replay: the answer to a repeated Idempotency-Key is the first one's, and costs no second upstream call."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Coroutine
from types import TracebackType
from typing import Any, Protocol

from gateway.cache.answered import Bill, Given, Held
from gateway.cache.hits import Hit, Replayed
from gateway.core.call import Call
from gateway.core.claim import Claim, Conflict, Fresh, Pending, Stored
from gateway.core.errors import Conflict as CallConflict
from gateway.core.errors import Overloaded
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant

_RENEW_SECONDS = 20.0
_LARGEST = 1024 * 1024


class ReplayStore(Protocol):
    """Keeps answers by caller and key; see store.contract for what it promises."""

    def claim(
        self, scope: str, key: str, body_hash: str
    ) -> Coroutine[Any, Any, Fresh | Pending | Conflict | Stored]: ...

    async def renew(self, claim: Claim) -> bool: ...

    async def finish(self, claim: Claim, answer: Stored) -> None: ...

    async def abandon(self, claim: Claim) -> None: ...


class Unclaimed:
    """A call that is answered by a provider: nothing is looked up and nothing kept.

    `kind` says where a hit is from: exact, joined, semantic or replay; `reason` why there is none, a word of keep.MISSES or
    admission.REFUSALS; `similarity` is a semantic hit's, 0 to 1; `entry` the name under which the answer is kept, if it is, and
    `answer` that answer's id: another one may stand under the name later.
    """

    hit: Hit | None = None
    is_looked_up = False
    kind: str | None = None
    reason: str | None = "no_rule"
    similarity: float | None = None
    entry: str | None = None
    answer: str | None = None
    _saved: tuple[int, float] | None = None

    @property
    def result(self) -> str:
        """As the header `x-llmgw-cache` has it."""
        if self.hit is not None:
            return "semantic-hit" if self.kind == "semantic" else "hit"
        return "miss" if self.is_looked_up else "bypass"

    @property
    def saved(self) -> tuple[int, float] | None:
        """Nano-USD and seconds that a hit has saved; None: there was none, or its client has left before the end."""
        return self._saved

    def begin(self, answer: Given, held: Held) -> None:
        """The answer's first chunk is in hand."""

    def keep(self, chunk: bytes) -> None:
        """Nothing is kept."""

    async def complete(self, last: bytes, answer: Given, bill: Bill) -> None:
        """The answer has gone out, but for its last bytes."""

    async def __aenter__(self) -> Unclaimed:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing was claimed."""


def _sent(call: Call) -> bytes:
    """What the client itself sent: a template may have got another version before the call is repeated."""
    if call.prompt is None:
        return call.body if call.native is None else call.native
    return call.prompt.asked + b"\0" + (call.template or "").encode()


def _endpoint(call: Call) -> str:
    """Where it was sent, as far as clients of several dialects ask for the same."""
    return call.operation.value if call.dialect == "openai" else f"{call.operation.value} {call.dialect}"


class Claimed(Unclaimed):
    """The claim of a call's Idempotency-Key. Leaving it keeps the answer if it was completed, or else frees the key."""

    def __init__(self, store: ReplayStore, tasks: Tasks, tenant: Tenant, call: Call) -> None:
        self._store = store
        self._tasks = tasks
        self._scope = tenant.key_id
        self._call = call
        self._claim: Claim | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._answer: Stored | None = None

    async def __aenter__(self) -> Claimed:
        call = self._call
        body_hash = hashlib.sha256(_endpoint(call).encode() + b"\0" + _sent(call)).hexdigest()
        work = self._store.claim(self._scope, call.idempotency_key or "", body_hash)
        found = await self._tasks.finish(work, name="replay claim")
        match found:
            case Fresh(claim):
                self._claim = claim
                self._renewal = self._tasks.start(self._renew(claim), name="replay lease")
            case Stored():
                self.hit, self.kind, self.reason = Replayed(found), "replay", None
            case Pending():
                raise _conflict("a call with this Idempotency-Key is being answered")
            case Conflict():
                raise _conflict("this Idempotency-Key was used with another body")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._claim is None:
            return
        if self._renewal is not None:
            self._renewal.cancel()
        if self._answer is not None and self._size <= _LARGEST:
            work = self._store.finish(self._claim, self._answer)
        else:
            work = self._store.abandon(self._claim)
        await self._tasks.finish(_unless_away(work), name="replay end")

    def keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= _LARGEST:
            self._pieces.append(chunk)

    async def complete(self, last: bytes, answer: Given, bill: Bill) -> None:
        self.keep(last)
        self._answer = Stored(200, (("content-type", answer.content_type),), b"".join(self._pieces))

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await _unless_away(self._store.renew(claim))


class Replays:
    def __init__(self, store: ReplayStore, tasks: Tasks) -> None:
        self._store = store
        self._tasks = tasks

    def claim(self, tenant: Tenant, call: Call) -> Unclaimed:
        """An async context manager for the time in which the call is answered; `hit` is the kept answer, if there is one.

        Entering raises Conflict when the key is in use or was used with another body, Overloaded when the store is away.
        """
        return _UNCLAIMED if call.idempotency_key is None else Claimed(self._store, self._tasks, tenant, call)


_UNCLAIMED = Unclaimed()


async def _unless_away(work: Awaitable[object]) -> None:
    """A store that has gone away meanwhile takes nothing from the answer: the claim ends by itself."""
    try:
        await work
    except Overloaded:
        return


def _conflict(message: str) -> CallConflict:
    return CallConflict(message, code="idempotency_conflict")
