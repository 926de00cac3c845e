"""The standings of all templates, the same for all workers: kept in the store, changed by compare-and-set, read every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from gateway.core.errors import Overloaded
from gateway.core.seal import seal, unseal
from gateway.template.rollout.ledger import TRIES, States
from gateway.template.rollout.standing import Standing, Standings, Stepped

PLACE = "template standings"

Change = Callable[[Standing], Standing]
"""From the standing that the store has. May raise GatewayError, and then nothing is changed."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Standings).decode
_NONE = Standing()


class Board:
    """What was stepped back here counts here at once, and is written until the store has it. `told` hears of what this worker was
    the first to write: the key, the version's hash, and why."""

    def __init__(self, told: Callable[[str, str, Stepped], None], *, pepper: bytes) -> None:
        self._told = told
        self._pepper = pepper
        self._sure: Mapping[str, Standing] = {}
        self._ahead: dict[tuple[str, int], dict[str, Stepped]] = {}
        self._turn = asyncio.Lock()

    def standing(self, key: str) -> Standing:
        """With what was stepped back here."""
        sure = self._sure.get(key, _NONE)
        ahead = self._ahead.get((key, sure.trial))
        return msgspec.structs.replace(sure, stepped={**ahead, **sure.stepped}) if ahead else sure

    def step_back(self, key: str, version: str, stepped: Stepped) -> None:
        """To be written by the next `flush`."""
        self._ahead.setdefault((key, self.standing(key).trial), {})[version] = stepped

    async def flush(self, store: States, now: float) -> None:
        """Reads what others have said, and writes what was stepped back here. While the store is away that waits for the next
        time."""
        try:
            for (key, trial), versions in list(self._ahead.items()):
                await self.change(store, key, partial(_with, trial=trial, stepped=versions), now)
            async with self._turn:
                self._sure = (await self._read(store))[0].of
        except Overloaded:
            return

    async def change(self, store: States, key: str, change: Change, now: float) -> Standing:
        """The standing as it is now. Raises Overloaded, and what `change` does."""
        async with self._turn:
            for _ in range(TRIES):
                there, version = await self._read(store)
                before = there.of.get(key, _NONE)
                after = change(before)
                if after == before or await self._written(store, there, key, after, version, now):
                    self._sure = there.of
                    self._tell(key, before, after)
                    return after
            raise Overloaded("the template's standing is being changed by many at once; try again", code="store_busy")

    async def _written(
        self, store: States, there: Standings, key: str, after: Standing, version: int, now: float
    ) -> bool:
        there.of[key] = msgspec.structs.replace(after, at=now)
        there.forget(now)
        value = seal(_encode(there), place=PLACE, pepper=self._pepper)
        return await store.put(PLACE, value, version=version)

    def _tell(self, key: str, before: Standing, after: Standing) -> None:
        """What is in the store is ahead of it no more, nor what was shown before a reset."""
        for name, versions in list(self._ahead.items()):
            left = {version: each for version, each in versions.items() if version not in after.stepped}
            if name[0] == key and (name[1] != after.trial or not left):
                del self._ahead[name]
            elif name[0] == key:
                self._ahead[name] = left
        for version in after.stepped.keys() - before.stepped.keys():
            self._told(key, version, after.stepped[version])

    async def _read(self, store: States) -> tuple[Standings, int]:
        """What cannot be read is nothing."""
        held = await store.get(PLACE)
        if held is None:
            return Standings(), 0
        body = unseal(held.value, place=PLACE, pepper=self._pepper)
        try:
            found = Standings() if body is None else _decode(body)
        except msgspec.DecodeError:
            found = Standings()
        return (found if found.form == Standings().form else Standings()), held.version


def _with(there: Standing, *, trial: int, stepped: Mapping[str, Stepped]) -> Standing:
    """What was shown before a reset is not said after it."""
    if there.trial != trial:
        return there
    return msgspec.structs.replace(there, stepped={**stepped, **there.stepped})
