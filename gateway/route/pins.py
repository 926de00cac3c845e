"""Who answered last in each conversation: kept by each worker, and shared where it decides about the model.

It may be forgotten at any time; whoever is not remembered is chosen again, which mostly gives the same.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from hashlib import blake2b
from typing import Protocol

import orjson

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.tasks import Tasks
from gateway.route.decision import Pin

MOST = 50_000
"""Conversations that a worker remembers."""
IDLE = 3600.0
"""Seconds after its last answer for which a conversation is remembered."""
AGAIN = IDLE / 4
"""Seconds after which what is shared is written again although it is the same, so that it lives on."""


class Shared(Protocol):
    """Small values for a time, by name. Both raise Overloaded when the store is away or slow."""

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        """For `ttl` seconds."""
        ...


class Pins:
    """One for each worker."""

    def __init__(
        self,
        shared: Shared,
        tasks: Tasks,
        clock: Clock,
        *,
        pepper: bytes = b"",
        most: int = MOST,
    ) -> None:
        """Names in the store are digests under `pepper`."""
        self._shared = shared
        self._tasks = tasks
        self._clock = clock
        self._pepper = blake2b(pepper, digest_size=32).digest()
        self._most = most
        self._kept: OrderedDict[str, tuple[Pin, float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def known(self, key: str) -> Pin | None:
        """What this worker remembers itself."""
        found = self._kept.get(key)
        if found is None:
            return None
        if self._clock.monotonic() - found[1] > IDLE:
            del self._kept[key]
            return None
        return found[0]

    async def find(self, key: str) -> Pin | None:
        """What this worker remembers, or else what others have shared; None also where the store does not say."""
        pin = self.known(key)
        if pin is not None:
            return pin
        try:
            value = await self._shared.get(self._name(key))
        except Overloaded:
            return None
        pin = None if value is None else _read(value)
        if pin is not None:
            self._keep(key, pin, shared_at=self._clock.monotonic())
        return pin

    def keep(self, key: str, pin: Pin, *, shared: bool) -> None:
        """An answer has begun. What is shared is written in the background."""
        now, before = self._clock.monotonic(), self._kept.get(key)
        is_due = before is None or before[0] != pin or now - before[2] > AGAIN
        self._keep(key, pin, shared_at=now if is_due or before is None else before[2])
        if shared and is_due:
            self._tasks.start(self._share(key, pin), name="pin")

    async def _share(self, key: str, pin: Pin) -> None:
        value = orjson.dumps([pin.name, pin.model, pin.deployment])
        with suppress(Overloaded):
            await self._shared.put(self._name(key), value, ttl=IDLE + AGAIN)

    def _keep(self, key: str, pin: Pin, *, shared_at: float) -> None:
        self._kept[key] = (pin, self._clock.monotonic(), shared_at)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def _name(self, key: str) -> str:
        return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, key=self._pepper).hexdigest()


class Beginnings:
    """What else a conversation began with, such as the version of a template: remembered as pins are, and as long."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins

    async def find(self, key: str) -> str | None:
        """None where nobody remembers."""
        pin = await self._pins.find(f"began\0{key}")
        return None if pin is None else pin.name

    def keep(self, key: str, value: str) -> None:
        """Shared with other workers in the background."""
        self._pins.keep(f"began\0{key}", Pin(value, "", ""), shared=True)


def _read(value: bytes) -> Pin | None:
    """None for what another version, or somebody else, has written."""
    try:
        parts = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(each, str) for each in parts):
        return None
    return Pin(*parts)
