"""What the gateway's memory does over many calls: at rest, warm, and after the soak."""

import time
from dataclasses import dataclass

from bench.load import Loader, Order
from bench.startup import MODEL, Running

WARM_CALLS = 2_000
SETTLE = 2.0
LONGEST = 120.0


@dataclass(frozen=True, slots=True)
class Soak:
    """VmRSS of the whole tree, in MB. Growth is counted from warm, when every buffer has been made once."""

    idle_mb: float
    warm_mb: float
    after_mb: float
    calls: int
    errors: int

    @property
    def growth_mb(self) -> float:
        return self.after_mb - self.warm_mb


def soak(running: Running, *, calls: int, loader: Loader) -> Soak:
    """Wants a gateway that has just been started. Raises LoadFailed."""
    if running.process is None or running.idle_mb is None:
        raise ValueError("only a process of our own can be soaked")
    connections = running.contender.pace.connections
    loader.run(running.contender, Order(MODEL, connections, LONGEST, requests=WARM_CALLS))
    time.sleep(SETTLE)
    warm = running.process.resident_mb()
    outcome = loader.run(running.contender, Order(MODEL, connections, LONGEST, requests=calls))
    time.sleep(SETTLE)
    return Soak(running.idle_mb, warm, running.process.resident_mb(), outcome.requests, outcome.errors)
