"""Idempotent replay: the answer to a repeated Idempotency-Key is the first one's, and costs no second upstream call."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any, Protocol

from gateway.core.call import Call
from gateway.core.claim import Claim, Conflict, Fresh, Pending, Stored
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import Conflict as CallConflict
from gateway.core.errors import Overloaded
from gateway.core.money import FREE
from gateway.core.said import Said
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant
from gateway.core.usage import Usage

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


class Kept:
    """An answer that was kept, to be read like any other and costing nothing. Implements what a flow needs of an Answer."""

    usage = Usage(0, 0)
    is_complete = True
    said: Said | None = None
    produced_share = 1.0
    deployment = Deployment(name="", provider=Provider("", ""), upstream_model="", price=FREE)

    def __init__(self, stored: Stored) -> None:
        self._body = stored.body
        self.content_type = dict(stored.headers).get("content-type", "application/json")
        self.headers: dict[bytes, bytes] = {}
        self.is_stream = self.content_type.startswith("text/event-stream")

    def produced(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing is open."""

    async def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        yield self._body

    def produced_length(self) -> int:
        return 0

    def fresh_text(self) -> str:
        return ""

    def cut(self) -> bytes:
        """Costs nothing, and so is never cut."""
        return b""

    def ending(self, cost: int | None, usage: Usage) -> bytes:
        return b""

    async def __aenter__(self) -> Kept:
        return self

    async def __aexit__(self, *exit: object) -> None:
        """Nothing is open."""


class Unclaimed:
    """A call without an Idempotency-Key: nothing is looked up and nothing kept."""

    hit: Kept | None = None

    def keep(self, chunk: bytes) -> None:
        """Nothing is kept."""

    def complete(self, last: bytes, content_type: str) -> None:
        """Nothing is kept."""

    async def __aenter__(self) -> Unclaimed:
        return self

    async def __aexit__(self, *exit: object) -> None:
        """Nothing was claimed."""


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
        body_hash = hashlib.sha256(call.operation.value.encode() + b"\0" + call.body).hexdigest()
        work = self._store.claim(self._scope, call.idempotency_key or "", body_hash)
        found = await self._tasks.finish(work, name="replay claim")
        match found:
            case Fresh(claim):
                self._claim = claim
                self._renewal = self._tasks.start(self._renew(claim), name="replay lease")
            case Stored():
                self.hit = Kept(found)
            case Pending():
                raise _conflict("a call with this Idempotency-Key is being answered")
            case Conflict():
                raise _conflict("this Idempotency-Key was used with another body")
        return self

    async def __aexit__(self, *exit: object) -> None:
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

    def complete(self, last: bytes, content_type: str) -> None:
        self.keep(last)
        self._answer = Stored(200, (("content-type", content_type),), b"".join(self._pieces))

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
