"""The kept answers as admins see them: looked through, shown, and removed once an order has killed them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.cache.entry import Entry, read
from gateway.cache.place import cache_pepper, key_of, place_of
from gateway.cache.purges import Orders, Purges
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.purge import Purge
from gateway.core.secret import Secret

LOOKED_AT = 2000
"""Answers that are looked at for one page."""
TOGETHER = 100
"""Answers that are looked at, and removed, together."""
PAUSE = 0.05
"""Seconds between two such batches of a removal, which so looks at no more than 2000 answers a second."""
AWAY = 1.0
"""Seconds before a removal goes on that found the store away; after PATIENCE such times it leaves the rest to expire."""
PATIENCE = 60


class Answers(Orders, Protocol):
    """See store.contract.CacheStore."""

    async def get(self, name: str) -> bytes | None: ...

    async def remove(self, names: Collection[str]) -> int: ...

    async def page(
        self, *, org: str = "", after: str = "", limit: int = 100
    ) -> tuple[Sequence[tuple[str, bytes]], str]: ...

    async def order(self, purge: Purge) -> int: ...


@dataclass(frozen=True, slots=True)
class Found:
    """`size` is in bytes as it is kept."""

    name: str
    entry: Entry
    size: int


class Kept:
    def __init__(self, store: Answers, purges: Purges, secret: Secret, clock: Clock) -> None:
        """`secret` is the store's."""
        self._store = store
        self._purges = purges
        self._pepper = cache_pepper(secret)
        self._clock = clock

    async def find(self, name: str) -> Found | None:
        """Raises Overloaded."""
        value = await self._store.get(name) if key_of(name) is not None else None
        return None if value is None else self._shown(name, value)

    async def search(self, marks: Purge, *, after: str, limit: int) -> tuple[Sequence[Found], str]:
        """Some of those that have the marks, and where to go on ("": at the end); perhaps none, although it goes on.

        Raises Overloaded.
        """
        found: list[Found] = []
        looked_at = 0
        while True:
            page, after = await self._store.page(org=self._place(marks), after=after, limit=limit - len(found))
            shown = [self._shown(name, value) for name, value in page]
            found += [each for each in shown if each is not None and marks.fits(each.entry)]
            looked_at += len(page) + 1
            if not after or len(found) >= limit or looked_at >= LOOKED_AT:
                return found, after

    async def order(self, marks: Purge) -> int:
        """Orders to forget the answers that have the marks, and the number of the order. Raises Overloaded."""
        number = await self._store.order(marks)
        await self._purges.refresh(number, self._clock.monotonic())
        return number

    async def remove(self, marks: Purge) -> AsyncIterator[int]:
        """Removes what the orders known here have killed and that may have the marks; after each batch, how many that were."""
        after, failures = "", 0
        while True:
            try:
                page, following = await self._store.page(org=self._place(marks), after=after, limit=TOGETHER)
                killed = [name for name, value in page if self._is_killed(marks, name, value)]
                removed = await self._store.remove(killed) if killed else 0
            except Overloaded:
                failures += 1
                if failures > PATIENCE:
                    return
                await asyncio.sleep(AWAY)
                continue
            after = following
            yield removed
            if not after:
                return
            await asyncio.sleep(PAUSE)

    def _place(self, marks: Purge) -> str:
        return "" if marks.org is None else place_of(self._pepper, marks.org)

    def _shown(self, name: str, value: bytes) -> Found | None:
        entry = self._read(name, value)
        if entry is None or not entry.is_fresh(now=self._clock.now()) or self._purges.kills(entry):
            return None
        return Found(name, entry, len(name) + len(value))

    def _is_killed(self, marks: Purge, name: str, value: bytes) -> bool:
        """What carries a later number is left alone, and so is what we cannot read, unless everything is to be forgotten."""
        entry = self._read(name, value)
        if entry is None:
            return replace(marks, number=0) == Purge()
        return entry.purges <= self._purges.number and self._purges.kills(entry)

    def _read(self, name: str, value: bytes) -> Entry | None:
        key = key_of(name)
        return None if key is None else read(value, key=key, pepper=self._pepper)
