"""What one route has earned, shared by all workers: learnt here at once, and everywhere by compare-and-set.

Two states are held: `sure` is the last one that the store confirmed, and `ahead` is that with what was learnt here since. A route
serves only what both allow, so that what is known here alone may narrow it and never widen it. Where it is not certain that a
change was written, its right comparisons are given up and its wrong ones are written again: a lost update makes the route
stricter, or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from gateway.cache.semantic.earned import LADDER, Choice, Earned, Promise, State, fresh
from gateway.cache.semantic.outside import States
from gateway.core.errors import Overloaded
from gateway.core.neighbour import Versioned
from gateway.core.seal import seal, unseal

MOST_PENDING = 5000
"""Comparisons that wait to be written; of more, right ones are given up."""
TRIES = 5

Event = tuple[Literal["right", "wrong", "bad"], float]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


class Shared:
    """`name` stands for the route and all that what it earned depends on; `random` as of Earned."""

    def __init__(self, name: str, promise: Promise, random: Callable[[], float], *, pepper: bytes) -> None:
        self.name = name
        self.promise = promise
        self._random = random
        self._pepper = pepper
        self._pending: list[Event] = []
        self._served = 0
        self._version = 0
        self._turn = asyncio.Lock()
        self._sure = Earned(promise, random)
        self._ahead = Earned(promise, random)

    @property
    def state(self) -> State:
        """With what was learnt here."""
        return self._ahead.state

    @property
    def served(self) -> int:
        return self._sure.state.served + self._served

    @property
    def has_news(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._pending or self._served)

    @property
    def threshold(self) -> float | None:
        """What serves now."""
        sure, ahead = self._sure.threshold, self._ahead.threshold
        return None if sure is None or ahead is None else max(sure, ahead)

    def bound(self, threshold: float) -> float:
        return self._ahead.bound(threshold)

    def choose(self, score: float) -> Choice:
        """As Earned.choose of what is sure, so that the chance to be compared depends on nothing that was learnt here alone."""
        choice = self._sure.choose(score)
        if choice is not Choice.SERVE:
            return choice
        self._sure.state.served -= 1  # it is counted here until it is written
        ahead = self._ahead.threshold
        if ahead is None or score < ahead:
            return Choice.PASS
        self._served += 1
        return Choice.SERVE

    def choose_above(self, score: float, threshold: float) -> Choice:
        """With a threshold that the policy gives: nothing is earned, and a sample is compared to show what it is worth."""
        if score < threshold:
            return Choice.PASS
        if self._random() < self.promise.audit:
            return Choice.COMPARE
        self._served += 1
        return Choice.SERVE

    def learn(self, event: Event) -> None:
        """To be written by the next `flush`."""
        _apply(self._ahead, event)
        self._pending.append(event)
        if len(self._pending) > MOST_PENDING:
            self._pending = [one for one in self._pending if one[0] != "right"][-MOST_PENDING:]

    async def flush(self, store: States) -> None:
        """Writes what was learnt, and reads what others have. While the store is away it waits for the next time."""
        async with self._turn:
            for _ in range(TRIES):
                try:
                    held = await store.get(self.name)
                except Overloaded:
                    return
                self._adopt(held)
                if not self.has_news:
                    return
                if await self._written(store):
                    return

    async def _written(self, store: States) -> bool:
        """Whether nothing is left to try now."""
        batch, served = self._pending, self._served
        after = self._with(batch)
        after.state.served += served
        value = seal(_encode(after.state), place=self.name, pepper=self._pepper)
        self._pending, self._served = [], 0
        again = [event for event in batch if event[0] != "right"]  # until it is known what became of it
        done = True
        try:
            done = await store.put(self.name, value, version=self._version)
            again = [] if done else batch
            self._served += 0 if done else served
            if done:
                self._version, self._sure = self._version + 1, after
        except Overloaded:
            pass
        finally:
            self._pending = [*again, *self._pending]
            self._ahead = self._with(self._pending)
        return done

    def _adopt(self, held: Versioned | None) -> None:
        """What cannot be read is nothing: the route begins anew, as it does when the store lost it."""
        version = 0 if held is None else held.version
        if held is not None and version == self._version:
            return
        self._version = version
        state = None if held is None else _read(held.value, self.name, self._pepper)
        self._sure = Earned(self.promise, self._random, state)
        self._ahead = self._with(self._pending)

    def _with(self, events: Sequence[Event]) -> Earned:
        """What is sure, and these."""
        earned = Earned(self.promise, self._random, _decode(_encode(self._sure.state)))
        for event in events:
            _apply(earned, event)
        return earned


def _apply(earned: Earned, event: Event) -> None:
    kind, score = event
    if kind == "bad":
        earned.report(score)
    else:
        earned.learn(score, right=kind == "right")


def _read(value: bytes, name: str, pepper: bytes) -> State:
    body = unseal(value, place=name, pepper=pepper)
    if body is None:
        return fresh()
    try:
        state = _decode(body)
    except msgspec.DecodeError:
        return fresh()
    lists = [part for part in msgspec.to_builtins(state).values() if isinstance(part, list)]
    return state if all(len(one) == len(LADDER) for one in lists) else fresh()
