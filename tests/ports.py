"""Ports for programs that must be told theirs before they listen."""

from __future__ import annotations

import os
import socket
from itertools import cycle
from random import SystemRandom

SHARES = 32
FIRST, END = 15_000, 32_768
"""Below those that systems hand out by themselves, so that no connection takes one before the program does."""
MINE = range(FIRST + os.getpid() % SHARES, END, SHARES)
"""Processes that begin one after the other, as the workers of one run do, have none in common."""
_turns = cycle(SystemRandom().sample(MINE, len(MINE)))


def free_port() -> int:
    """A port of the loopback that nobody listens on, and that no other worker of this run is given."""
    return next(port for port in _turns if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
