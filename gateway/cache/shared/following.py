"""A flight of another worker, as calls of this one join it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.cache.flights import Flight, Flights
from gateway.cache.shared.leading import BEAT, LEASE
from gateway.cache.shared.letter import Follow, Gone, Landed, Leave, Letter, Lost, Part, Settled, error_from
from gateway.cache.shared.mark import Mark
from gateway.cache.shared.post import Post
from gateway.core.errors import Overloaded

PATIENCE = LEASE
"""Seconds without a letter after which the leader's worker is taken for dead."""


class Following:
    """`flight` is fed by letters. It ends as lost, without a failure, when its leader cannot be heard any more."""

    def __init__(
        self, name: str, mark: Mark, worker: str, *, flights: Flights, post: Post, monotonic: Callable[[], float]
    ) -> None:
        """`worker`: this one."""
        self.flight = Flight(mark.form, mark.purges, mark.flight)
        self.mark = mark
        self._name = name
        self._worker = worker
        self._flights = flights
        self._post = post
        self._monotonic = monotonic
        self._heard = monotonic()
        self._place = 0
        self._pieces: list[bytes] = []
        self._asks = asyncio.Event()
        self._has_left = False
        flights.adopt(name, self.flight)

    async def listen(self, *, within: float) -> None:
        """Until the flight has ended, or nobody listens. It is lost by Overloaded when the store is away, or takes more than
        `within` seconds for the first letter, and nothing of the answer has come."""
        trouble: Overloaded | None = None
        try:
            await self._listen(within)
        except Overloaded as error:
            trouble = error
        if not self.flight.is_settled:
            self._flights.lose(self._name, self.flight, trouble)
        if self._has_left:
            with suppress(Overloaded):
                await self._post.send([self.mark.worker], Leave(self.mark.flight, self._worker))

    def hear(self, letter: Letter) -> None:
        flight = self.flight
        if flight.is_settled:
            return
        self._heard = self._monotonic()
        match letter:
            case Part():
                self._add(letter)
            case Landed(place=place) if place == self._place:
                self._land(letter)
            case Settled() if flight.has_landed:
                self._flights.settle(self._name, flight, None)
            case Lost(failure=failure):
                self._flights.lose(self._name, flight, error_from(failure))
            case Gone():
                self._end()
            case _:
                self._asks.set()
        if flight.is_settled:
            self._asks.set()

    def leave(self) -> None:
        """Nobody listens here any more."""
        self._has_left = True
        self._end()
        self._asks.set()

    async def _listen(self, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                is_heard = await self._follow(self._place)
        except TimeoutError:
            raise Overloaded("The shared store is slow; try again shortly.", code="store_unavailable") from None
        while not self.flight.is_settled and (is_heard or self.flight.chunks):
            if self._monotonic() - self._heard > PATIENCE:
                return
            is_heard = await self._go_on()

    async def _go_on(self) -> bool:
        """Waits for a reason to write, and writes; whether that may have been heard. Raises Overloaded."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT):
                await self._asks.wait()
        if self.flight.is_settled:
            return True
        place = self._place if self._asks.is_set() else None
        self._asks.clear()
        try:
            return await self._follow(place)
        except Overloaded:
            if not self.flight.chunks:
                raise
            return False

    async def _follow(self, place: int | None) -> bool:
        return await self._post.send([self.mark.worker], Follow(self.mark.flight, self._worker, place))

    def _add(self, part: Part) -> None:
        """Takes what is new in it; what is missing before it is asked for."""
        if part.place > self._place:
            self._asks.set()
            return
        new = part.piece[self._place - part.place :]
        if not new:
            return
        self._pieces.append(new)
        self._place += len(new)
        if part.is_whole and self.flight.form[0]:
            self._flush()

    def _land(self, letter: Landed) -> None:
        if self.flight.has_landed:
            return
        if self._pieces:
            self._flush()
        self.flight.land(letter.last, cost=letter.cost, took=letter.took)

    def _flush(self) -> None:
        chunk = b"".join(self._pieces)
        self._pieces.clear()
        self.flight.add(chunk)

    def _end(self) -> None:
        if self.flight.has_landed:
            self._flights.settle(self._name, self.flight, None)
        else:
            self._flights.lose(self._name, self.flight, None)
