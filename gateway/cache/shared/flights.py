"""One call to a provider for identical calls of all workers: who leads, and what the others hear of it.

A call that finds nothing leaves its mark in the store, in the same round trip, or finds another's. Then it writes to that
one's worker, which tells it what there is of the answer and then each chunk. Whatever goes wrong ends in calls of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.cache.flights import Flight, Flights
from gateway.cache.place import cache_pepper
from gateway.cache.shared.following import Following
from gateway.cache.shared.leading import Leading
from gateway.cache.shared.letter import Follow, Gone, Leave, Letter, read
from gateway.cache.shared.mark import Mark, make_mark, read_mark
from gateway.cache.shared.post import FlightStore, Post
from gateway.core.boarding import Boarded
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks

ALLOWANCE = 0.1
"""Seconds that a call waits for the store at most, from its first question to the letter that says that it follows."""
LEAST = 0.02
"""Seconds for that letter, however long the question took."""
RENEWAL = 10.0
"""Seconds between two renewals of the marks of calls that are led."""
TOGETHER = 16
"""Marks that are renewed at the same time."""
LINGER = 2.0
"""Seconds for which a flight that was followed can still be asked for after its end, by those who missed that."""
REMEMBERED = 10_000
"""Leaders that are remembered as not to be followed again."""


@dataclass(frozen=True, slots=True)
class _Led:
    name: str
    mark: Mark
    telling: Leading
    began: float


class SharedFlights:
    """One for each worker. `local` are its own flights, and those of others that calls of this one have joined."""

    def __init__(self, store: FlightStore, secret: Secret, tasks: Tasks, clock: Clock) -> None:
        """`secret` is the store's."""
        self.local = Flights()
        self.is_listening = False
        self._worker = secrets.token_hex(8)
        self._store = store
        self._pepper = cache_pepper(secret)
        self._post = Post(store, self._pepper)
        self._tasks = tasks
        self._clock = clock
        self._asking: dict[tuple[str, int, bool], asyncio.Future[Boarded | None]] = {}
        self._led: dict[str, _Led] = {}
        self._followed: dict[str, Following] = {}
        self._spent: dict[str, bytes] = {}

    def __len__(self) -> int:
        """Of all that is under way."""
        return len(self._asking) + len(self._led) + len(self._followed)

    def ticket(self, name: str, call: Call, purges: int) -> Ticket:
        """For one call; `name` and `purges` as in keep.Asked."""
        form = (call.stream, call.wants_usage)
        mark = make_mark(name, purges=purges, form=form, worker=self._worker, pepper=self._pepper)
        return Ticket(self, name, mark)

    def loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What runs as long as the worker does."""
        return {"flights": self._store.hear(self._worker, self._hear, self._listen), "flight leases": self._renew()}

    async def board(self, name: str, mark: Mark, *, kept: bool) -> Boarded:
        """As FlightStore.board, asked once for all who ask the same at the same time. Raises Overloaded."""
        place = (name, mark.purges, kept)
        while (asking := self._asking.get(place)) is not None:
            await asyncio.wait([asking])
            if not asking.cancelled():
                return _or_away(asking.result())
        asking = self._asking[place] = asyncio.get_running_loop().create_future()
        try:
            gone = self._spent.get(name, b"")
            asking.set_result(await self._store.board(name, mark.text, gone=gone, kept=kept))
        except Overloaded:
            asking.set_result(None)
        finally:
            del self._asking[place]
            asking.cancel()  # unless there is a result
        return _or_away(asking.result())

    def find(self, name: str, leader: bytes, purges: int, *, within: float) -> Flight | None:
        """The flight of this leader that a call may join; None: it cannot be followed."""
        mark = read_mark(leader, name, pepper=self._pepper)
        if mark is None:
            return None
        if mark.worker == self._worker:
            return self.local.find(name, purges)
        if not self.is_listening:
            return None
        following = self._followed.get(mark.flight)
        return self._follow(name, mark, within) if following is None else following.flight

    def is_own(self, name: str, leader: bytes) -> bool:
        """Whether the leader is a call of this worker."""
        mark = read_mark(leader, name, pepper=self._pepper)
        return mark is not None and mark.worker == self._worker

    def forgo(self, name: str, leader: bytes) -> None:
        """The leader is not asked for again."""
        self._spent[name] = leader
        if len(self._spent) > REMEMBERED:
            del self._spent[next(iter(self._spent))]

    def lead(self, name: str, mark: Mark, flight: Flight) -> None:
        """The call with this mark leads."""
        self._spent.pop(name, None)
        telling = Leading(flight, mark.flight, self._post, self._clock.monotonic)
        self._led[mark.flight] = _Led(name, mark, telling, self._clock.monotonic())
        flight.ended = partial(self._end, mark.flight)

    def _end(self, id: str, flight: Flight) -> None:
        """Where the answer is kept, the mark may stay: nobody looks behind an answer."""
        led = self._led[id]
        if led.telling.is_telling:
            asyncio.get_running_loop().call_later(LINGER, self._led.pop, id, None)
        else:
            del self._led[id]
        if flight.entry is None:
            self._tasks.start(_unless_away(self._store.release(led.name, led.mark.text)), name="flight release")

    def _follow(self, name: str, mark: Mark, within: float) -> Flight:
        self.forgo(name, mark.text)
        following = Following(
            name, mark, self._worker, flights=self.local, post=self._post, monotonic=self._clock.monotonic
        )
        following.flight.leave = partial(self._leave, name, following)
        self._followed[mark.flight] = following
        self._tasks.start(self._listen_to(following, within), name="flight of another worker")
        return following.flight

    async def _listen_to(self, following: Following, within: float) -> None:
        try:
            await following.listen(within=within)
        finally:
            del self._followed[following.mark.flight]

    def _leave(self, name: str, following: Following) -> None:
        """A leader that goes on may still be followed by those who come."""
        if following.flight.is_settled:
            return
        if self._spent.get(name) == following.mark.text:
            del self._spent[name]
        following.leave()

    def _listen(self, is_listening: bool) -> None:
        self.is_listening = is_listening

    def _hear(self, message: bytes) -> None:
        letter = read(message, pepper=self._pepper)
        if letter is None:
            return
        if isinstance(letter, Follow | Leave):
            self._hear_follower(letter)
        elif (following := self._followed.get(letter.flight)) is not None:
            following.hear(letter)

    def _hear_follower(self, letter: Follow | Leave) -> None:
        led = self._led.get(letter.flight)
        if led is None:
            if isinstance(letter, Follow):
                self._write(letter.worker, Gone(letter.flight))
        elif isinstance(letter, Leave):
            led.telling.leave(letter.worker)
        else:
            led.telling.follow(letter.worker, letter.place)
            if not led.telling.is_telling:
                self._tasks.start(led.telling.tell(), name="flight for other workers")

    def _write(self, worker: str, letter: Letter) -> None:
        self._tasks.start(_unless_away(self._post.send([worker], letter)), name="flight letter")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            since = self._clock.monotonic() - RENEWAL
            long = [led for led in self._led.values() if led.began <= since]
            for start in range(0, len(long), TOGETHER):
                some = long[start : start + TOGETHER]
                await asyncio.gather(*[_unless_away(self._store.renew(led.name, led.mark.text)) for led in some])


class Ticket:
    """With which a call asks for its answer, and boards the flight of another worker or leads one for all."""

    def __init__(self, shared: SharedFlights, name: str, mark: Mark) -> None:
        self._shared = shared
        self._name = name
        self._mark = mark
        self._asked_at = 0.0
        self._boarded: Boarded | None = None

    @property
    def flight(self) -> str:
        """The id of the flight that the call would lead."""
        return self._mark.flight

    async def get(self, name: str) -> bytes | None:
        """The kept answer, as CacheStore.get, and in the same round trip who leads if there is none. Raises Overloaded."""
        self._boarded = await self._ask(kept=True)
        return self._boarded.value

    async def board(self) -> Flight | None:
        """The flight to join; None: this call asks the provider, for the others if it leads."""
        boarded, self._boarded = self._boarded, None
        with suppress(Overloaded):
            if boarded is None or boarded.value is not None:  # nobody has asked yet, or what was kept does not serve
                boarded = await self._ask(kept=False)
            while boarded.leader is not None and boarded.leader != self._mark.text:
                flight = self._find(boarded.leader)
                if flight is not None or not self._shared.is_own(self._name, boarded.leader):
                    return flight
                self._shared.forgo(self._name, boarded.leader)  # it was cancelled before it could begin
                boarded = await self._ask(kept=False)
            self._boarded = boarded
        return None

    def lead(self, flight: Flight) -> None:
        """Tells others of the flight that this call begins, if it leads."""
        if self._boarded is not None and self._boarded.leader == self._mark.text:
            self._shared.lead(self._name, self._mark, flight)

    async def _ask(self, *, kept: bool) -> Boarded:
        self._asked_at = asyncio.get_running_loop().time()
        return await self._shared.board(self._name, self._mark, kept=kept)

    def _find(self, leader: bytes) -> Flight | None:
        left = ALLOWANCE - (asyncio.get_running_loop().time() - self._asked_at)
        return self._shared.find(self._name, leader, self._mark.purges, within=max(LEAST, left))


def _or_away(found: Boarded | None) -> Boarded:
    if found is None:
        raise Overloaded("The shared store is away; try again shortly.", code="store_unavailable")
    return found


async def _unless_away(work: Coroutine[Any, Any, object]) -> None:
    with suppress(Overloaded):
        await work
