"""The virtual keys a worker knows, and whom each stands for.

Known keys are looked up in memory, without waiting. Only a well-formed key that is not known makes the keyring ask the
store, once for all that wait, so that a key works as soon as it has been created. Unknown, revoked, expired and
malformed keys get one and the same answer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.auth.guesses import Guesses
from gateway.auth.tenants import Tenants, caller_of, tenant_of
from gateway.auth.virtual_key import admin_formed, fingerprint, well_formed
from gateway.core.clock import Clock
from gateway.core.errors import Forbidden, GatewayError, Overloaded, Unauthenticated
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant, VirtualKey

LONGEST = 4096
"""Characters of a credential that are looked at."""
REFUSALS = 10_000
"""Unknown keys that are remembered, so that they are refused without asking the store again."""
ASK_EVERY = 0.02
"""Seconds between two questions to the store, whatever clients show us."""
PATIENCE = 0.1
"""Seconds a caller with an unknown key waits for the store."""
CONFIRMED = 1.0
"""Seconds for which a remembered refusal stands after the store was last heard."""


class KeyStore(Protocol):
    """Where virtual keys are kept."""

    async def load(self, *, since: int) -> tuple[int, Sequence[VirtualKey]]:
        """The number of the last change, and the keys changed after change `since` (0: all). Raises Overloaded."""
        ...


@dataclass(frozen=True, slots=True)
class _Caller:
    tenant: Tenant
    expires: float


class Keyring:
    """Identifies callers. `standing` keys are always known and need no store."""

    def __init__(
        self,
        store: KeyStore,
        pepper: Secret,
        *,
        tasks: Tasks,
        standing: Sequence[VirtualKey] = (),
        max_stale: float = 300.0,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._pepper = pepper.reveal().encode()
        self._tasks = tasks
        self._standing = {bytes.fromhex(key.fingerprint): key for key in standing}
        self._max_stale = max_stale
        self._clock = clock or Clock()
        self._known: dict[bytes, VirtualKey] = {}
        self._change = 0
        self._heard = -math.inf
        self._refused: dict[bytes, None] = {}
        self._guesses = Guesses(self._clock)
        self._tenants: Tenants | None = None
        self._callers: dict[bytes, _Caller] = {}
        self._loading = asyncio.Lock()
        self._asked = -math.inf
        self._next: asyncio.Task[GatewayError | None] | None = None

    async def identify(self, credential: Secret | None, tenants: Tenants, *, peer: str = "") -> Tenant:
        """Whom the credential stands for. `peer` is the address it came from.

        Raises Unauthenticated, or RateLimited when too many wrong ones came from there; Forbidden; and Overloaded when the
        store is away and so nothing can be said.
        """
        try:
            return await self._identify(credential, tenants)
        except Unauthenticated:
            self._guesses.count(peer)
            raise

    async def _identify(self, credential: Secret | None, tenants: Tenants) -> Tenant:
        if credential is None:
            raise refusal()
        text = credential.reveal()
        if len(text) > LONGEST:
            raise refusal()
        mark = fingerprint(text, self._pepper)
        if tenants is self._tenants:
            caller = self._callers.get(mark)
            if caller is not None and self._clock.now() < caller.expires and (self._fresh() or mark in self._standing):
                return caller.tenant
        return self._remember(mark, await self._key(mark, text), tenants)

    async def refresh(self) -> None:
        """Takes over what changed in the store. Raises Overloaded when it is away."""
        async with self._loading:
            asked = self._clock.monotonic()
            change, keys = await self._store.load(since=self._change)
            if change < self._change:
                change, keys = await self._store.load(since=0)
                self._known.clear()
                self._forget()
            self._change = change
            self._take(keys)
            self.confirm(asked)

    def confirm(self, asked: float) -> None:
        """Notes that, when the store was asked at this monotonic time, nothing had changed."""
        self._heard = max(self._heard, asked)

    def _fresh(self) -> bool:
        return self._clock.monotonic() - self._heard <= self._max_stale

    async def _key(self, mark: bytes, text: str) -> VirtualKey:
        if (key := self._valid(mark)) is not None:
            return key
        if admin_formed(text):
            raise Forbidden("This is an admin key; calls need a virtual key.", code="not_found")
        if not well_formed(text):
            raise refusal()
        if mark not in self._refused or self._clock.monotonic() - self._heard > CONFIRMED:
            await self._ask()
        if (key := self._valid(mark)) is not None:
            return key
        self._refuse(mark)
        expired = self._known.get(mark)
        raise refusal() if expired is None else refusal().of(caller_of(expired))

    def _valid(self, mark: bytes) -> VirtualKey | None:
        key = self._standing.get(mark)
        if key is None and (key := self._known.get(mark)) is not None and not self._fresh():
            raise _away()
        if key is not None and key.expires is not None and key.expires <= self._clock.now():
            return None
        return key

    async def _ask(self) -> None:
        """Waits for a refresh that begins from now on, shared by everyone who waits."""
        if self._next is None:
            self._next = self._tasks.start(self._refresh_in_turn(), name="keyring")
        refresh = self._next
        done, _ = await asyncio.wait({refresh}, timeout=PATIENCE)
        if not done or refresh.result() is not None:
            raise _away()

    async def _refresh_in_turn(self) -> GatewayError | None:
        await asyncio.sleep(self._asked + ASK_EVERY - self._clock.monotonic())
        self._next, self._asked = None, self._clock.monotonic()
        try:
            await self.refresh()
        except Overloaded as error:
            return error
        return None

    def _take(self, keys: Sequence[VirtualKey]) -> None:
        for key in keys:
            mark = bytes.fromhex(key.fingerprint)
            if key.revoked:
                self._known.pop(mark, None)
            else:
                self._known[mark] = key
        if keys:
            self._forget()

    def _forget(self) -> None:
        self._callers.clear()
        self._refused.clear()

    def _refuse(self, mark: bytes) -> None:
        if len(self._refused) >= REFUSALS:
            del self._refused[next(iter(self._refused))]
        self._refused[mark] = None

    def _remember(self, mark: bytes, key: VirtualKey, tenants: Tenants) -> Tenant:
        if tenants is not self._tenants:
            self._tenants, self._callers = tenants, {}
        tenant = tenant_of(key, tenants)
        self._callers[mark] = _Caller(tenant, math.inf if key.expires is None else key.expires)
        return tenant


def refusal() -> Unauthenticated:
    """The one answer to every key that is not good."""
    return Unauthenticated("Incorrect API key provided.")


def _away() -> Overloaded:
    return Overloaded("The key store is away; try again shortly.", code="auth_unavailable")
