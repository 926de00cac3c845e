"""Whether a call is answered from what was kept, by another call under way, or by a provider; and what is kept of it then.

The order: an answer under the call's Idempotency-Key, the exact cache, an identical call under way, the semantic cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

from gateway.cache.admission import Control, read_control, refuse_call
from gateway.cache.answered import Bill, Given, Held
from gateway.cache.entry import Entry
from gateway.cache.flights import Flight, Flights, Joined, failure_of
from gateway.cache.hits import Rendered
from gateway.cache.keep import Answered, Asked, Keeper, Removal
from gateway.cache.replay import Replays, Unclaimed
from gateway.cache.rules import CacheRules
from gateway.cache.semantic.asked import NO_SEMANTIC, Found, Meanings
from gateway.cache.shared.flights import SharedFlights
from gateway.core.arrival import Reply
from gateway.core.call import TEXT, Call
from gateway.core.clock import Clock
from gateway.core.deployment import Model
from gateway.core.errors import Overloaded, UpstreamError
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant


class Decision(Protocol):
    @property
    def route(self) -> str | None: ...

    @property
    def model(self) -> Model: ...


class Cache:
    """One for each worker."""

    def __init__(
        self,
        replays: Replays,
        keeper: Keeper,
        tasks: Tasks,
        clock: Clock,
        meanings: Meanings = NO_SEMANTIC,
        shared: SharedFlights | None = None,
    ) -> None:
        """`shared`: with other workers, where the store knows of their calls."""
        self.replays = replays
        self.keeper = keeper
        self.meanings = meanings
        self.tasks = tasks
        self.clock = clock
        self.shared = shared
        self.flights = Flights() if shared is None else shared.local

    def claim(self, tenant: Tenant, call: Call, decision: Decision, rules: CacheRules, reply: Reply) -> Unclaimed:
        """An async context manager for the time in which the call is answered; `hit` is the kept answer, if there is one.

        `reply` is told of others who listen to the answer. Entering raises as Replays.claim does, and UpstreamError when the
        identical call that this one had joined failed at the provider.
        """
        replay = self.replays.claim(tenant, call)
        rule = rules.of(decision.route)
        if call.operation not in TEXT:
            return Unclaimed()
        if rule is None:
            return replay
        control = read_control(call.headers.get(b"cache-control"))
        if (reason := refuse_call(call.fields, control, rule.admits)) is not None:
            return Bypassed(replay, reason)
        asked = self.keeper.asked(tenant, call, decision.model, decision.route, rule)
        return Looked(self, replay, asked, control, reply)

    def loops(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """What runs as long as the worker does."""
        return {} if self.shared is None else self.shared.loops()

    async def report(self, name: str | None, *, is_good: bool, by_meaning: bool, answer: str | None = None) -> bool:
        """A user's word on what was kept under this name, served by its meaning or not; whether it was forgotten.

        `answer` is the id of the one that is meant: another that has taken its place stays. Raises Overloaded.
        """
        if name is None:
            return False
        removal: Removal = "gone"
        if not is_good:  # first: what fails here is said again, and counts once
            removal = await self.keeper.remove(name, answer)
        if by_meaning:
            await self.meanings.report(name, bad=not is_good, is_replaced=removal == "replaced")
        elif not is_good and removal != "replaced":
            await self.meanings.forget([name])
        return removal == "removed"


class Bypassed(Unclaimed):
    """A call that the exact cache has nothing to do with; `reason` is a word of admission.REFUSALS."""

    def __init__(self, replay: Unclaimed, reason: str) -> None:
        self._replay = replay
        self.reason = reason

    async def __aenter__(self) -> Unclaimed:
        await self._replay.__aenter__()
        self.hit = self._replay.hit
        if self.hit is not None:
            self.kind, self.reason = "replay", None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._replay.__aexit__(kind, error, traceback)

    def keep(self, chunk: bytes) -> None:
        self._replay.keep(chunk)

    async def complete(self, last: bytes, answer: Given, bill: Bill) -> None:
        await self._replay.complete(last, answer, bill)


class Looked(Bypassed):
    """A call whose answer may be kept: found, shared, or asked for and then kept."""

    is_looked_up = True

    def __init__(self, cache: Cache, replay: Unclaimed, asked: Asked, control: Control, reply: Reply) -> None:
        super().__init__(replay, "new")
        self._cache = cache
        self._asked = asked
        self._control = control
        self._reply = reply
        self._flight: Flight | None = None
        self._joined: Flight | None = None
        self._held: Held | None = None
        self._answer: Given | None = None
        self._answered: Answered | None = None
        self._near: Found | None = None
        self._ticket = None if cache.shared is None else cache.shared.ticket(asked.name, asked.call, asked.purges)
        self.entry = asked.name

    async def __aenter__(self) -> Unclaimed:
        await super().__aenter__()
        if self.hit is not None:
            return self
        try:
            await self._look()
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        joined, self._joined = self._joined, None
        if joined is not None:
            self._saved = (joined.cost, joined.took) if joined.has_landed else None
            joined.exit()
        if error is not None:
            self._saved = None
        if self._flight is not None:
            self._land(self._flight, error)
        await super().__aexit__(kind, error, traceback)

    def begin(self, answer: Given, held: Held) -> None:
        """The answer's first chunk is in hand; one whose cap is lower than its client's is nobody else's."""
        self._answer, self._held = answer, held
        if held.is_clamped and self._flight is not None:
            self._cache.flights.lose(self._asked.name, self._flight, None)
            self._flight = None
            self._reply.share(None)

    def keep(self, chunk: bytes) -> None:
        super().keep(chunk)
        if self._flight is not None:
            self._flight.add(chunk)

    async def complete(self, last: bytes, answer: Given, bill: Bill) -> None:
        await super().complete(last, answer, bill)
        flight = self._flight
        if flight is None:
            return
        took = self._cache.clock.monotonic() - self._asked.call.received
        body = b"".join([*flight.chunks, last])
        flight.land(answer.ending(0, bill.usage), cost=bill.cost or 0, took=took)
        is_altered = self._held is not None and (self._held.is_clamped or self._held.is_stopped)
        model = self._asked.model  # a cascade's own strong model is no fallback of it
        is_fallback = answer.deployment in model.fallbacks and answer.deployment not in model.deployments
        usage = answer.usage_sent
        self._answered = Answered(body, usage, answer.is_complete, is_altered, is_fallback, bill.cost or 0, took)
        if flight.leave is not None:  # its client has left meanwhile, and is told of now
            flight.leave()
            await asyncio.sleep(0)

    async def _look(self) -> None:
        flights, name, purges = self._cache.flights, self._asked.name, self._asked.purges
        while True:
            if not self._control.may_read:
                self.reason = "no_cache"
                break
            flight = flights.find(name, purges)
            landed = None
            if flight is None or flight.entry is not None:
                landed = flight  # its answer was kept before the store is asked, which alone knows whether it still is
                await self._find()
                if self.hit is None and self.is_looked_up:
                    await self._find_by_meaning()
                if self.hit is not None or not self.is_looked_up:
                    return
                flight = flights.find(name, purges)
                if flight is None or flight is landed:
                    flight = await self._board()
            if flight is None or flight is landed:
                break
            if await self._join(flight):
                return
        self._lead(flights.begin(name, self._asked.call, purges, "" if self._ticket is None else self._ticket.flight))

    async def _board(self) -> Flight | None:
        """The flight of an identical call of another worker."""
        return None if self._ticket is None else await self._ticket.board()

    def _lead(self, flight: Flight) -> None:
        self._flight, self.answer = flight, flight.answer
        self._reply.share(flight)
        if self._ticket is not None:
            self._ticket.lead(flight)

    async def _find(self) -> None:
        is_last = self._asked.rule.semantic is None or self._near is not None
        get = self._ticket.get if self._ticket is not None and is_last else None
        try:
            found = await self._cache.keeper.find(self._asked, self._control, get)
        except Overloaded:
            found = "store_away"
        if isinstance(found, str):
            self.reason = found
            self.is_looked_up = found not in ("store_away", "unsure")
        else:
            self._serve(found, "exact", self._asked.name)

    async def _find_by_meaning(self) -> None:
        """Once for a call, whatever becomes of those that it joins."""
        cache, rule = self._cache, self._asked.rule.semantic
        if rule is None or self._near is not None:
            return
        near = self._near = await cache.meanings.look(cache.keeper.asked_by_meaning(self._asked, rule))
        self.reason, self.similarity = near.reason, near.similarity
        if near.verdict == "serve" and near.name is not None:
            await self._take(near.name)
        if self.hit is None and self._ticket is not None:
            await self._find_kept_meanwhile()

    async def _find_kept_meanwhile(self) -> None:
        """The answer of an identical call that has ended while this one was looking by meaning."""
        reason = self.reason
        await self._find()
        if self.hit is None and self.is_looked_up:
            self.reason = reason

    async def _take(self, name: str) -> None:
        """What was found by its meaning, if it may be given."""
        cache = self._cache
        try:
            found = await cache.keeper.find_by_name(name, self._control.max_age)
        except Overloaded:
            found = "store_away"
        if isinstance(found, Entry):
            self._serve(found, "semantic", name)
            return
        self.reason = found
        if found not in ("store_away", "unsure", "too_old"):
            cache.tasks.start(cache.meanings.forget([name]), name="forget meaning")

    async def _join(self, flight: Flight) -> bool:
        """Whether that was all: it gave this call its answer, or the call goes its own way. Raises UpstreamError."""
        call = self._asked.call
        if flight.entry is not None:  # the store has it, or soon will
            self._serve(flight.entry, "exact", self._asked.name)
            return True
        self._joined = flight
        flight.enter()
        while not flight.has_begun_for(call):
            await flight.changes()
        if flight.is_lost and not flight.chunks and isinstance(flight.failure, UpstreamError):
            raise failure_of(flight)
        if flight.entry is not None and (flight.has_landed or flight.form != (call.stream, call.wants_usage)):
            self._serve(flight.entry, "joined", self._asked.name)
            return True
        if flight.form == (call.stream, call.wants_usage) and flight.chunks:
            self.hit, self.kind, self.reason = Joined(flight, call, now=self._cache.clock.now()), "joined", None
            self.answer = flight.answer
            return True
        self._joined = None
        flight.exit()
        if isinstance(flight.failure, Overloaded):  # it is led elsewhere, and the store that tells of it is away
            self.reason, self.is_looked_up = "store_away", False
            return True
        return False

    def _serve(self, entry: Entry, kind: str, name: str) -> None:
        now = self._cache.clock.now()
        self.hit = Rendered(entry.document, self._asked.call, now=now, pace=self._asked.rule.pace)
        self.kind, self.reason, self.entry, self.answer = kind, None, name, entry.id
        self._saved = (entry.cost, entry.took)

    def _land(self, flight: Flight, error: BaseException | None) -> None:
        if self._answered is not None:
            self._cache.tasks.start(self._settle(flight, self._answered), name="keep answer")
        else:
            failure = error if isinstance(error, UpstreamError) else None
            self._cache.flights.lose(self._asked.name, flight, failure)

    async def _settle(self, flight: Flight, answered: Answered) -> None:
        """Off the client's way: decides whether the answer is kept, and keeps it."""
        near, kept = self._near, None
        try:
            if not flight.is_superseded:
                found = await self._cache.keeper.keep(
                    self._asked, answered, id=flight.answer, question=near.question if near else ""
                )
                kept = found if isinstance(found, Entry) else None
        except Overloaded:
            pass
        finally:
            self._cache.flights.settle(self._asked.name, flight, kept)
        if near is not None and kept is not None:
            await self._learn(near, kept)

    async def _learn(self, near: Found, kept: Entry) -> None:
        """From an answer that was kept although something like it had been: makes it findable, and compares the two."""
        meanings = self._cache.meanings
        if near.verdict == "shadow" and near.name is not None:
            with suppress(Overloaded):
                candidate = await self._cache.keeper.find_by_name(near.name)
                if isinstance(candidate, Entry):
                    await meanings.learn(near, candidate.document, kept.document)
        await meanings.keep(near, self._asked.name, kept.expires, kept.document)
