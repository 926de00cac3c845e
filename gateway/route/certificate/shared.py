"""One certificate, the same for all workers: learnt here, and merged with the others' in the store by compare-and-set.

A worker adds its own labels to its own copy and merges that into the store's. Merging twice changes nothing, so what is not
known to have been written is written again, and while the store is away nothing is lost. A candidate serves only where the
store has confirmed its certificate; that it is revoked counts here at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
from msgspec.structs import replace

from gateway.core.errors import Overloaded
from gateway.core.neighbour import Versioned
from gateway.core.seal import seal, unseal
from gateway.route.certificate import labels
from gateway.route.certificate.certificate import (
    Shares,
    Standing,
    State,
    Status,
    begin_anew,
    decide,
    learn,
    merge,
    retry,
    share,
    standing,
    verdict,
)
from gateway.route.certificate.terms import Terms

TRIES = 5

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


class States(Protocol):
    """See gateway.store.contract.EarnedStore. Both raise Overloaded while the store is away."""

    async def get(self, name: str) -> Versioned | None: ...
    async def put(self, name: str, value: bytes, *, version: int) -> bool: ...


class Shared:
    """`name` is the subject's (see terms.Subject.name). `writer` gives names that no other writer has, ever: each call
    another."""

    def __init__(self, name: str, terms: Terms, writer: Callable[[], str], *, pepper: bytes, shares: Shares) -> None:
        self.name = name
        self.terms = terms
        self._new_writer = writer
        self._writer = writer()
        self._pepper = pepper
        self._shares = shares
        self._state = State()
        self._sure = State()
        self._turn = asyncio.Lock()
        self._share = share(self._state, terms, shares)
        self._serves = False

    @property
    def state(self) -> State:
        """With what was learnt here."""
        return self._state

    @property
    def standing(self) -> Standing:
        return standing(self._state, self.terms)

    @property
    def serves(self) -> bool:
        """Whether the candidate may answer."""
        return self._serves

    @property
    def share(self) -> float:
        """Of the calls that come now, the share to be labelled."""
        return self._share

    @property
    def has_news(self) -> bool:
        """Whether something waits to be written."""
        return self._state != self._sure

    def change(self, terms: Terms, shares: Shares) -> None:
        """Other terms for the same labels."""
        self.terms, self._shares = terms, shares
        self._hold(self._state)

    def learn(self, cell: int, now: float) -> None:
        """A label, a cell of core.bet, to be written by the next `flush`. Returns at once; raises ValueError as
        certificate.learn."""
        state = learn(self._state, self.terms, cell=cell, writer=self._writer, at=now)
        self._hold(decide(state, self.terms, now))

    async def begin_anew(self, store: States, now: float, why: str) -> bool:
        """Forgets what was shown, here at once and on every worker once the store knows; whether it does. Else it is told by
        the next `flush` that finds it."""
        await self.flush(store, now)
        self._hold(begin_anew(self._state, self.terms, now, why))
        begun = self._state.trial
        await self.flush(store, now)
        return self._sure.trial >= begun

    async def flush(self, store: States, now: float) -> None:
        """Writes what was learnt, and reads what others have. `now` in UTC seconds. While the store is away it waits for the
        next time."""
        async with self._turn:
            for _ in range(TRIES):
                try:
                    if await self._merged(store, now):
                        return
                except Overloaded:
                    return

    async def _merged(self, store: States, now: float) -> bool:
        """Whether the store holds now what is known here."""
        held = await store.get(self.name)
        theirs = State() if held is None else _read(held.value, self.name, self._pepper)
        self._begin_anew_if_folded(theirs)
        state = decide(merge(theirs, self._mine()), self.terms, now)
        state = retry(replace(state, writers=labels.fold(state.writers, now)), self.terms, now)
        if state != theirs:
            value = seal(_encode(state), place=self.name, pepper=self._pepper)
            if not await store.put(self.name, value, version=0 if held is None else held.version):
                return False
        self._sure = state
        self._hold(decide(merge(state, self._mine()), self.terms, now))
        return True

    def _mine(self) -> State:
        """What this worker has to say: its verdicts, and of labels its own alone."""
        own = self._state.writers.get(self._writer)
        return replace(self._state, writers={} if own is None else {self._writer: own})

    def _begin_anew_if_folded(self, theirs: State) -> None:
        """Labels that were counted for this worker are not its own any more once it was taken for gone."""
        was_there = theirs.trial == self._sure.trial and self._writer in self._sure.writers
        if was_there and self._writer not in theirs.writers and labels.GONE in theirs.writers:
            self._writer = self._new_writer()

    def _hold(self, state: State) -> None:
        self._state = state
        self._share = share(state, self.terms, self._shares)
        self._serves = all(verdict(each, self.terms).status is Status.CERTIFIED for each in (self._sure, state))


def _read(value: bytes, name: str, pepper: bytes) -> State:
    """What cannot be read is nothing."""
    body = unseal(value, place=name, pepper=pepper)
    if body is None:
        return State()
    try:
        state = _decode(body)
    except msgspec.DecodeError:
        return State()
    return state if state.version == State().version else State()
