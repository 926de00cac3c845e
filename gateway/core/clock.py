"""Time, passed in: monotonic to measure, UTC to record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`monotonic` and `now` give seconds; `now` since 1970, UTC."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
