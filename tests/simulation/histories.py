"""Runs worlds, one for each seed."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from tests.simulation.world import Story, World, failures


@contextmanager
def built(seed: int, faults: Sequence[str] = ()) -> Iterator[World]:
    """A world in which ids are counted and the disk is as fast as memory."""
    count = itertools.count()

    def token(length: int) -> str:
        return f"{next(count):0{2 * length}x}"

    log = logging.getLogger("llmgw")
    log.propagate = False
    quiet = mock.patch.object(secrets, "token_hex", token), mock.patch.object(os, "fdatasync")
    with TemporaryDirectory() as folder, quiet[0], quiet[1]:
        world = World(seed, Path(folder), faults)
        handler = failures(world.fail)
        tasks = logging.getLogger("llmgw.tasks")
        tasks.addHandler(handler)
        log.addHandler(silence := logging.NullHandler())
        try:
            yield world
        finally:
            tasks.removeHandler(handler)
            log.removeHandler(silence)
            log.propagate = True
            for worker in world.workers:
                if not worker.loop.is_dead:
                    worker.loop.kill()


def run(seed: int, operations: int, faults: Sequence[str] = ()) -> Story:
    """Raises Broken."""
    with built(seed, faults) as world:
        return world.run(operations)
