"""Identical calls under way at the same time: one asks the provider, and the others listen to its answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from copy import copy
from itertools import islice

from gateway.cache.entry import Entry
from gateway.cache.hits import Hit, Rendered, together
from gateway.cache.render import fresh_json
from gateway.core.call import Call, Operation
from gateway.core.errors import Broken, GatewayError, UpstreamError
from gateway.core.usage import Usage

GRACE = 0.5
"""Seconds for which an answer is still given from here after it was kept: longer than anyone waits for the store's word."""


class Flight:
    """One call to a provider. Implements `core.arrival.Audience` for its leader.

    `purges` is the number of the last order to forget that it knows, `entry` its answer once that has been admitted to the
    cache; `cost`, in nano-USD, and `took`, in seconds, are known when it has landed. One that is lost has ended early: by
    `failure`, which is the provider's, or for its leader's own reasons. `ended` is called when it is lost or settled.
    `successor` began later and is joined in its place.
    """

    def __init__(self, form: tuple[bool, bool], purges: int, id: str = "") -> None:
        """`form` is the leader's: whether it wants a stream, and usage in that. `id` is 16 hex digits, drawn if not given; all
        workers call the flight so."""
        self.id = id or secrets.token_hex(8)
        self.purges = purges
        self.form = form
        self.listeners = 0
        self.joined = asyncio.Event()
        self.leave: Callable[[], object] | None = None
        self.ended: Callable[[Flight], object] | None = None
        self.chunks: list[bytes] = []
        self.last = b""
        self.cost = 0
        self.took = 0.0
        self.has_landed = False
        self.is_lost = False
        self.failure: GatewayError | None = None
        self.is_settled = False
        self.entry: Entry | None = None
        self.successor: Flight | None = None
        self._changed = asyncio.Event()

    @property
    def answer(self) -> str:
        """The id under which its answer is known, where that is kept."""
        return f"ce_{self.id}"

    def enter(self) -> None:
        self.listeners += 1
        self.joined.set()

    def exit(self) -> None:
        self.listeners -= 1
        if self.listeners:
            return
        self.joined.clear()
        if self.leave is not None and not self.has_landed:
            self.leave()

    def add(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.wake()

    def land(self, last: bytes, *, cost: int, took: float) -> None:
        """The answer is whole; `last` are the last bytes for those who pay nothing."""
        self.last, self.cost, self.took, self.has_landed = last, cost, took, True
        self.wake()

    def lose(self, failure: GatewayError | None) -> None:
        self.failure, self.is_lost, self.is_settled = failure, True, True
        self._end()

    def settle(self, entry: Entry | None) -> None:
        """Whether it was admitted to the cache is known."""
        self.entry, self.is_settled = entry, True
        self._end()

    @property
    def is_superseded(self) -> bool:
        """Whether the answer to a later call is kept by now, which this one's is not to replace."""
        return self.successor is not None and (self.successor.entry is not None or self.successor.is_superseded)

    def has_begun_for(self, call: Call) -> bool:
        """Whether it is known what this call can have of it: the same bytes from the first on, or the kept answer."""
        if self.form == (call.stream, call.wants_usage):
            return bool(self.chunks) or self.has_landed or self.is_lost
        return self.is_settled

    async def changes(self) -> None:
        await self._changed.wait()

    def wake(self) -> None:
        """Lets those who wait for changes look again."""
        if self.listeners:
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    def _end(self) -> None:
        self.wake()
        if self.ended is not None:
            self.ended(self)


class Flights:
    """Those of one worker, by the name that their answer would be kept under."""

    def __init__(self) -> None:
        self._flying: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._flying)

    def find(self, name: str, purges: int) -> Flight | None:
        """The flight that a call may join which knows of the orders to forget up to this one."""
        flight = self._flying.get(name)
        return flight if flight is not None and flight.purges >= purges else None

    def begin(self, name: str, call: Call, purges: int, id: str = "") -> Flight:
        """Those who come join it from now on, and no longer one that was under way before."""
        flight = Flight((call.stream, call.wants_usage), purges, id)
        self.adopt(name, flight)
        return flight

    def adopt(self, name: str, flight: Flight) -> None:
        """As `begin`, for a flight that is led elsewhere."""
        before = self._flying.get(name)
        if before is not None:
            before.successor = flight
        self._flying[name] = flight

    def lose(self, name: str, flight: Flight, failure: GatewayError | None) -> None:
        """Nobody can join it any more; those who have seen nothing of it yet begin another, unless the provider failed."""
        self._forget(name, flight)
        flight.lose(failure)

    def settle(self, name: str, flight: Flight, entry: Entry | None) -> None:
        if entry is None:
            self._forget(name, flight)
        else:
            asyncio.get_running_loop().call_later(GRACE, self._forget, name, flight)
        flight.settle(entry)

    def _forget(self, name: str, flight: Flight) -> None:
        if self._flying.get(name) is flight:
            del self._flying[name]


class Joined(Hit):
    """Another call's answer as it comes: what there is of it already, and then chunk by chunk."""

    def __init__(self, flight: Flight, call: Call, *, now: float) -> None:
        """`now`: UTC seconds."""
        self._flight = flight
        self._call = call
        self._shown = Rendered(b"", call, now=now)
        self.is_stream = self._shown.is_stream
        self.content_type = self._shown.content_type

    def produced(self) -> list[str]:
        entry = self._flight.entry
        return [] if entry is None else Rendered(entry.document, self._call, now=0).produced()

    async def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        flight, place = self._flight, 0
        if not self.is_stream:
            is_vectors = self._call.operation is Operation.EMBEDDINGS
            whole = flight.chunks[0]
            yield whole if is_vectors else fresh_json(whole, id=self._shown.id, created=self._shown.created)
            while not (flight.has_landed or flight.is_lost):  # what it has cost is known then
                await flight.changes()
            return
        while True:
            while place < len(flight.chunks):
                following = islice(flight.chunks, place, None)
                some = next(together(following))
                place += len(some)
                yield b"".join(some)
            if flight.has_landed:
                return
            if flight.is_lost:
                raise failure_of(flight)
            await flight.changes()

    def ending(self, cost: int | None, usage: Usage) -> bytes:
        return self._flight.last


def failure_of(flight: Flight) -> GatewayError:
    """For one who listened; each gets an error of its own, as headers are added to it."""
    if isinstance(flight.failure, UpstreamError):
        return copy(flight.failure)
    return Broken("the answer that this call was sharing broke off")
