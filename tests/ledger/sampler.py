"""Looks at the public budget API again and again, and keeps whatever should never have been seen."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp

from tests.ledger.gateway import AUTHORIZED, Account, Gateway, accounts_of

EVERY = 0.02
IN_FORCE = 1.2
"""Seconds within which every worker has a new policy; until then the old limit and the new one are both in force."""
AWAY = (aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass(slots=True)
class Watch:
    """`over` are accounts seen with more committed than any limit in force then; after a cut, only those that grow."""

    samples: int = 0
    last: dict[str, Account] = field(default_factory=dict)
    _limits: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    _suspects: list[tuple[float, Account]] = field(default_factory=list)

    def look(self, accounts: Mapping[str, Account]) -> None:
        self.samples += 1
        for name, account in accounts.items():
            before = self.last.get(name)
            grows = before is None or account.committed > before.committed
            if account.limit is not None:
                now = time.monotonic()
                self._limits.setdefault(name, []).append((now, account.limit))
                if grows and account.committed > account.limit:
                    self._suspects.append((now, account))
        self.last |= accounts

    @property
    def over(self) -> list[str]:
        found = [(account, self._limit(account.name, at)) for at, account in self._suspects]
        return [f"{each.name}: {each.committed} > {limit}" for each, limit in found if each.committed > limit]

    def _limit(self, name: str, moment: float) -> int:
        """The largest limit that was seen within IN_FORCE of a moment: one worker tells, and another is ahead of it."""
        return max(limit for at, limit in self._limits[name] if abs(at - moment) <= IN_FORCE)


@contextlib.asynccontextmanager
async def watching(gateway: Gateway) -> AsyncIterator[Watch]:
    """Samples until the block is left, in a thread, so that busy clients do not keep it from looking."""
    watch, is_over = Watch(), threading.Event()
    looking = asyncio.create_task(asyncio.to_thread(_look_on, gateway.admin_port, watch, is_over))
    try:
        yield watch
    finally:
        is_over.set()
        await looking


async def at_rest(gateway: Gateway, *, patience: float = 5.0) -> dict[str, Account]:
    """The accounts once nothing is held any more, slices included, or after `patience` seconds however they are."""
    deadline = time.monotonic() + patience
    accounts: dict[str, Account] = {}
    while time.monotonic() < deadline:
        with contextlib.suppress(*AWAY):
            accounts = await gateway.accounts()
            if not held(accounts.values()):
                break
        await asyncio.sleep(0.1)
    return accounts


def held(accounts: Iterable[Account]) -> list[str]:
    """The accounts in which something is held."""
    return [f"{each.name}: {each.held} + {each.escrowed}" for each in accounts if each.held or each.escrowed]


def _look_on(port: int, watch: Watch, is_over: threading.Event) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        while not is_over.is_set():
            due = time.monotonic() + EVERY
            try:
                connection.request("GET", "/admin/v1/budgets", headers=AUTHORIZED)
                answer = connection.getresponse()
                said = answer.read()
                if answer.status == 200:
                    watch.look(accounts_of(json.loads(said)))
            except (OSError, http.client.HTTPException):
                connection.close()  # it connects again by itself
            is_over.wait(max(0.0, due - time.monotonic()))
