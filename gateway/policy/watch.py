"""Watches the policy folder and puts its changes into force (docs/decisions/002-policy-polling.md says why by polling)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from types import MappingProxyType

from gateway.core.clock import Clock
from gateway.policy.current import Current
from gateway.policy.mistakes import PolicyError
from gateway.policy.snapshot import Snapshot
from gateway.policy.source.folder import PolicyFile, policy_files

log = logging.getLogger("llmgw.policy")

INTERVAL = 0.15
PATIENCE = 0.5
"""Seconds after which a folder that never comes to rest is compiled as it is."""

Signature = tuple[tuple[str, int, int, int, int], ...]
"""For each file its name, when its content and its inode changed (nanoseconds), its size and its inode."""

Found = tuple[int, Signature]
"""The number of the stored templates, and what the files look like."""


class Watch:
    """Looks at the folder, and at the number of the stored templates, every 150 ms, and compiles in a thread, so that calls go on
    meanwhile.

    A change is taken up when two looks running find the same, and nothing changed while it was read, so that half-written
    files are passed over. Mistakes, or a folder that is gone, leave the snapshot in force and are logged once.
    """

    def __init__(
        self,
        folder: FilePath,
        current: Current,
        compile_folder: Callable[[], Snapshot],
        clock: Clock,
        stored: Callable[[], int] = int,
    ) -> None:
        self._folder = folder
        self._current = current
        self._compile = compile_folder
        self._clock = clock
        self._stored = stored
        self._taken_up: Found | None = None
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Watches until it is cancelled."""
        before: Found | None = None
        rested = self._clock.monotonic()
        while True:
            await asyncio.sleep(INTERVAL)
            found = await self._look()
            impatient = self._clock.monotonic() - rested > PATIENCE
            if found != self._taken_up and (found == before or impatient):
                await self._take_up(found, impatient=impatient)
            if found == self._taken_up or impatient:
                rested = self._clock.monotonic()
            before = found

    async def reload(self) -> None:
        """Compiles the folder now, whether it has changed or not."""
        async with self._turn:
            self._apply(await asyncio.to_thread(self._outcome), always_log=True)

    async def _look(self) -> Found:
        return self._stored(), await asyncio.to_thread(signature, self._folder)

    async def _take_up(self, found: Found, *, impatient: bool) -> None:
        async with self._turn:
            outcome = await asyncio.to_thread(self._outcome)
            if await self._look() == found:
                self._taken_up = found
            elif not impatient:
                return
            self._apply(outcome)

    def _outcome(self) -> Snapshot | PolicyError:
        try:
            return self._compile()
        except PolicyError as error:
            return error

    def _apply(self, outcome: Snapshot | PolicyError, *, always_log: bool = False) -> None:
        current = self._current
        if isinstance(outcome, PolicyError):
            if always_log or current.last_error is None or current.last_error.mistakes != outcome.mistakes:
                log.error("the policy has mistakes; %s stays in force\n%s", current.current.version, outcome)
            current.refuse(outcome)
        elif outcome.version != current.current.version:
            tell_shadowed(outcome, current.current.shadowed)
            current.replace(outcome, loaded_at=self._clock.now())
            log.info("policy %s is in force", outcome.version, extra={"notes": outcome.notes})
        elif always_log or current.last_error is not None:
            current.keep()
            log.info("policy %s is in force, unchanged", outcome.version)


def tell_shadowed(snapshot: Snapshot, before: Mapping[str, str] = MappingProxyType({})) -> None:
    """Logs which stored templates do not count any more."""
    for name in snapshot.shadowed.keys() - before.keys():
        log.warning(
            "the template %r is in the file %s now: the stored one does not count", name, snapshot.shadowed[name]
        )


def signature(folder: FilePath) -> Signature:
    """What the policy files look like from outside; nothing when there is no folder or none in it."""
    try:
        return tuple(_look(file) for file in policy_files(folder))
    except OSError:
        return ()


def _look(file: PolicyFile) -> tuple[str, int, int, int, int]:
    try:
        stat = file.entry.stat()
    except OSError:  # just gone, or a link that leads nowhere
        return file.name, 0, 0, 0, 0
    return file.name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
