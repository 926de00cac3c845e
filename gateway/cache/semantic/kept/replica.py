"""This worker's index of what all workers keep: it follows the log of the store, and changes it by that alone.

So all workers see one order of events, and what a cancelled call left in the log is found like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from gateway.cache.semantic.desk import Desk, Unable
from gateway.cache.semantic.embedder import Vector
from gateway.cache.semantic.kept.row import Row, read, write
from gateway.cache.semantic.kept.shelf import Bounds, Shelf
from gateway.cache.semantic.outside import Log
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.neighbour import Logged

EVERY = 0.4
"""Seconds between two looks at the log: what one worker was told is known to all within one second."""
SWEEP = 60.0
"""Seconds between two sweeps of what has expired."""
TOO_LONG = 1800.0
"""Seconds without the log after which it is read anew, for it tells of removals for some time only."""
PAGE = 100
"""Changes that are taken in at once."""

Quick = Callable[[str], Vector | None]


class Replica:
    """`load_quick` gives the quick embedder's function or None, and runs at the desk; `removed` hears of entries that
    are gone, whoever removed them. `damaged` counts rows that did not check.

    Methods that change something raise Overloaded when the store is away.
    """

    def __init__(
        self,
        log: Log,
        desk: Desk,
        load_quick: Callable[[], Quick | None],
        removed: Callable[[frozenset[str]], None],
        *,
        pepper: bytes,
        clock: Clock,
        bounds: Bounds,
    ) -> None:
        self._log = log
        self._desk = desk
        self._load_quick = load_quick
        self._removed = removed
        self._pepper = pepper
        self._clock = clock
        self._bounds = bounds
        self._shelf: Shelf | None = None
        self._place = ""
        self._turn = asyncio.Lock()
        self._mine: set[str] = set()
        self._crowded_out: list[tuple[str, Row]] = []
        self._last = clock.monotonic()
        self.damaged = 0

    def __len__(self) -> int:
        return 0 if self._shelf is None else len(self._shelf)

    @property
    def shelf(self) -> Shelf:
        """To be touched at the desk alone. Raises Unable until it is there."""
        if self._shelf is None:
            raise Unable("loading")
        return self._shelf

    async def add(self, name: str, row: Row) -> list[tuple[str, Row]]:
        """Makes it findable, here and everywhere. Returns entries that had to make room in their partition, if some did."""
        self._mine.add(name)
        try:
            await self._log.add(name, write(row, name=name, pepper=self._pepper), expires=row.expires)
            await self.catch_up()
        finally:
            self._mine.discard(name)
        crowded_out, self._crowded_out = self._crowded_out, []
        return crowded_out

    async def remove(self, names: Collection[str]) -> None:
        """Is gone here even when the store is away, which then raises Overloaded."""
        shelf = self._shelf
        if shelf is not None:
            await self._desk.run(lambda: shelf.take(names))
        await self._log.remove(names)

    async def remove_org(self, org: str) -> None:
        shelf = self._shelf
        if shelf is not None:
            await self._desk.run(lambda: shelf.take_org(org))
        await self._log.remove_org(org)

    async def run(self) -> None:
        """Follows the log until it is cancelled."""
        swept = self._clock.monotonic()
        while True:
            with suppress(Overloaded):
                await self.catch_up()
                if self._clock.monotonic() - swept >= SWEEP:
                    swept = self._clock.monotonic()
                    await self._sweep()
            await asyncio.sleep(EVERY)

    async def catch_up(self) -> None:
        """Takes in all that the log has. Raises Overloaded."""
        async with self._turn:
            if self._shelf is None:
                quick = await self._desk.run(self._load_quick)
                self._shelf = Shelf(quick, self._bounds)
            if self._clock.monotonic() - self._last > TOO_LONG:
                self._place, shelf = "", self._shelf
                await self._desk.run(shelf.clear)
            while True:
                some, place = await self._log.after(self._place, limit=PAGE)
                self._last = self._clock.monotonic()
                if not some:
                    return
                await self._take_in(some)
                self._place = place
                if gone := frozenset(one.name for one in some if one.value is None):
                    self._removed(gone)

    async def _take_in(self, some: Sequence[Logged]) -> None:
        shelf, now = self.shelf, self._clock.now()

        def work() -> int:
            damaged = 0
            for one in some:
                if one.value is None:
                    shelf.take([one.name])
                elif (row := read(one.value, name=one.name, pepper=self._pepper)) is None:
                    damaged += 1
                elif row.expires > now:
                    crowded_out = shelf.put(one.name, row)
                    if crowded_out is not None and one.name in self._mine:
                        self._crowded_out.append(crowded_out)
            return damaged

        self.damaged += await self._desk.run(work)

    async def _sweep(self) -> None:
        shelf, now = self.shelf, self._clock.now()
        await self._desk.run(lambda: shelf.sweep(now))
        await self._log.sweep()
