"""Keeps a worker in step with what other workers and replicas changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.errors import Overloaded
from gateway.store.contract import INSTANCE_TTL, Changes, Store

EVERY = 0.2
"""Seconds between two questions to the store: a revoked key is refused everywhere well within one second."""


class Keys(Protocol):
    """The worker's copy of the virtual keys."""

    async def refresh(self) -> None: ...

    def confirm(self, asked: float) -> None: ...


class Purges(Protocol):
    """The worker's copy of the orders to forget answers."""

    async def refresh(self, last: int, asked: float) -> None: ...

    def confirm(self, asked: float) -> None: ...


class Templates(Protocol):
    """The worker's copy of the templates that admins put."""

    async def refresh(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Followers:
    """Who wants to know. `cooldowns` gets all deployments at rest and until when (UTC seconds) after every change."""

    keys: Keys
    cooldowns: Callable[[Mapping[str, float]], None]
    purges: Purges
    templates: Templates


async def begin(store: Store, followers: Followers) -> Coroutine[Any, Any, None]:
    """Tells the followers how things stand, unless the store is away; what it gives is `synchronise`, from there on."""
    try:
        seen = await _catch_up(store, followers, None)
    except Overloaded:
        seen = None
    return synchronise(store, followers, seen)


async def synchronise(store: Store, followers: Followers, seen: Changes | None = None, *, every: float = EVERY) -> None:
    """Runs until it is cancelled; while the store is away it keeps asking. `seen`: what the followers know already."""
    while True:
        try:
            seen = await _catch_up(store, followers, seen)
        except Overloaded:
            seen = None
        await store.pushed(within=every)


async def _catch_up(store: Store, followers: Followers, seen: Changes | None) -> Changes:
    asked = time.monotonic()
    changes = await store.changes()
    if seen is None or changes.keys != seen.keys:
        await followers.keys.refresh()
    else:
        followers.keys.confirm(asked)
    if seen is None or changes.cooldowns != seen.cooldowns:
        followers.cooldowns(await store.cooldowns.cooldowns())
    if seen is None or changes.templates != seen.templates:
        await followers.templates.refresh()
    if changes.purges is None:
        return changes
    if seen is None or changes.purges != seen.purges:
        await followers.purges.refresh(changes.purges, asked)
    else:
        followers.purges.confirm(asked)
    return changes


async def announce(store: Store, instance: str, version: Callable[[], str], *, every: float = INSTANCE_TTL / 3) -> None:
    """Tells the others which policy version this instance runs, until it is cancelled."""
    while True:
        with suppress(Overloaded):
            await store.versions.announce(instance, version())
        await asyncio.sleep(every)
