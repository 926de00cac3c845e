"""What was counted of one template by all workers: kept in the store by compare-and-set, with what this worker has yet to add."""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from gateway.core.errors import Overloaded
from gateway.core.neighbour import Versioned
from gateway.core.seal import seal, unseal
from gateway.template.rollout.bounds import Measure
from gateway.template.rollout.counted import Batch, Counted
from gateway.template.rollout.evidence import Evidence

TRIES = 5

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Counted).decode


class States(Protocol):
    """See gateway.store.contract.EarnedStore. Both raise Overloaded while the store is away."""

    async def get(self, name: str) -> Versioned | None: ...
    async def put(self, name: str, value: bytes, *, version: int) -> bool: ...


class Ledger:
    """`writer` is a name that no other writer has, ever."""

    def __init__(self, template: str, writer: str, *, pepper: bytes) -> None:
        self._name = f"template counts:{template}"
        self._writer = writer
        self._pepper = pepper
        self._sure = Counted()
        self._sent = Counted()
        self._number = 0
        self._turn = asyncio.Lock()
        self.news = Counted()
        """To be added by the next `flush`."""

    @property
    def has_news(self) -> bool:
        return not (self.news.is_empty and self._sent.is_empty)

    def whole(self) -> Counted:
        """What the store had when it was last asked, with what this worker has to add."""
        whole = _copy(self._sure)
        whole.add(self._sent)
        whole.add(self.news)
        return whole

    def evidence(self, trial: str, only: Measure | None = None) -> Evidence:
        """The same of one trial, or of one measure in it."""
        evidence = Evidence()
        for part in (self._sure, self._sent, self.news):
            if (found := part.trials.get(trial)) is not None:
                evidence.add(found.evidence, only)
        return evidence

    async def flush(self, store: States, now: float) -> None:
        """Adds what is new, and reads what others have added. While the store is away it waits for the next time."""
        async with self._turn:
            for _ in range(TRIES):
                try:
                    if await self._added(store, now):
                        return
                except Overloaded:
                    return

    async def _added(self, store: States, now: float) -> bool:
        """Whether the store holds now all that is known here."""
        held = await store.get(self._name)
        there = Counted() if held is None else self._read(held.value)
        last = there.batches.get(self._writer)
        if last is not None and last.number == self._number:
            self._sent = Counted()  # it was written although nobody said so
        if self._sent.is_empty:
            self._sent, self.news = self.news, Counted()
            self._number += 1
        self._sure = there
        if self._sent.is_empty:
            return True
        after = _copy(there)
        after.add(self._sent)
        after.batches[self._writer] = Batch(self._number, now)
        after.forget(now)
        value = seal(_encode(after), place=self._name, pepper=self._pepper)
        if not await store.put(self._name, value, version=0 if held is None else held.version):
            return False
        self._sure, self._sent = after, Counted()
        return True

    def _read(self, value: bytes) -> Counted:
        """What cannot be read is nothing."""
        body = unseal(value, place=self._name, pepper=self._pepper)
        try:
            found = Counted() if body is None else _decode(body)
        except msgspec.DecodeError:
            return Counted()
        return found if found.form == Counted().form else Counted()


def _copy(counted: Counted) -> Counted:
    return _decode(_encode(counted))
