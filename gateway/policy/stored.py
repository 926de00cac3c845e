"""The templates that admins put by API, beside those of the policy folder: this worker's copy of what the store has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from hashlib import sha256

import msgspec

from gateway.core.errors import Overloaded
from gateway.store.contract import OpenError
from gateway.store.kinds.templates import TemplateStore

log = logging.getLogger("llmgw.policy")

OPENING = 5.0
"""Seconds for which a worker that begins keeps asking."""


class Put(msgspec.Struct, frozen=True, array_like=True):
    """A template's file as it was given, by whom and why; `at` in UTC seconds."""

    content: bytes
    who: str
    why: str
    at: float

    @property
    def etag(self) -> str:
        """12 hexadecimal digits; the same bytes have the same."""
        return sha256(self.content).hexdigest()[:12]


class StoredTemplates:
    """`number` grows with each change of any of them, so that whoever changes one is sure of all."""

    def __init__(self, store: TemplateStore) -> None:
        self._store = store
        self._known: tuple[int, Mapping[str, Put]] = (0, {})
        self._turn = asyncio.Lock()

    @property
    def number(self) -> int:
        return self._known[0]

    def named(self) -> Mapping[str, Put]:
        """As this worker last heard."""
        return self._known[1]

    def texts(self) -> Mapping[str, bytes]:
        return texts(self.named())

    async def begin(self) -> None:
        """Hears of them for the first time. Raises OpenError: without them calls would go out that should not."""
        try:
            async with asyncio.timeout(OPENING):
                await self._heard()
        except TimeoutError:
            raise OpenError("the store does not tell its templates; see the log for the reason") from None

    async def refresh(self) -> None:
        """Raises Overloaded."""
        await self.load()

    async def load(self) -> tuple[int, Mapping[str, Put]]:
        """The number and all of them as the store has them now, which this worker then knows too. Raises Overloaded."""
        async with self._turn:  # so that what is known is never replaced by what was asked for before
            number, values = await self._store.load()
            self._known = number, dict(_read(values))
            return self._known

    async def change(self, values: Mapping[str, Put | None], *, since: int) -> bool:
        """Puts these, removes those that are None, unless something changed after `since`; whether it did. Raises Overloaded."""
        packed = {name: None if value is None else _encode(value) for name, value in values.items()}
        return await self._store.change(packed, since=since)

    async def _heard(self) -> None:
        while True:
            try:
                return await self.refresh()
            except Overloaded:
                await asyncio.sleep(0.1)


def texts(named: Mapping[str, Put]) -> Mapping[str, bytes]:
    """What the policy is compiled with."""
    return {name: put.content for name, put in named.items()}


def _read(values: Mapping[str, bytes]) -> Iterator[tuple[str, Put]]:
    for name, value in sorted(values.items()):
        try:
            yield name, _decode(value)
        except msgspec.DecodeError:
            log.error("the stored template %r cannot be read, and does not count", name)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Put).decode
