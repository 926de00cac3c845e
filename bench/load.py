"""Runs the load generator against one contender and reads what it found."""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.contender import Contender
from bench.workload import MODELS

SLACK = 60.0


class LoadFailed(Exception):
    """The load generator could not do its work; the message says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """One run of the load. `rate` in calls per second makes it open-loop; `requests` ends it after so many calls, and
    it begins `after` so many seconds."""

    model: str
    connections: int
    seconds: float
    rate: float = 0
    requests: int = 0
    after: float = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`p50_ms` and `p99_ms` are of the whole answer, or of a stream's first byte; `chunks` leaves out [DONE]. The
    errors include what was `refused` by a 503, and what was `unanswered` half a minute after the end."""

    requests: int
    errors: int
    refused: int
    unanswered: int
    last_error: str
    seconds: float
    per_second: float
    chunks: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Loader:
    program: Path
    cores: str
    bodies: Mapping[str, Path]

    def run(self, contender: Contender, order: Order) -> Outcome:
        """Raises LoadFailed when nothing could be measured; single bad answers are counted in the outcome."""
        time.sleep(order.after)
        command = ["taskset", "-c", self.cores, str(self.program), *self._arguments(contender, order)]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=order.seconds + SLACK)
        except subprocess.TimeoutExpired:
            raise LoadFailed(f"no end after {order.seconds + SLACK:.0f} s") from None
        if done.returncode:
            raise LoadFailed(done.stderr.strip() or f"load ended with {done.returncode}")
        outcome = Outcome(**json.loads(done.stdout))
        if outcome.errors >= outcome.requests and not outcome.refused:
            raise LoadFailed(f"{order.model}: every call failed: {outcome.last_error or 'no answer'}")
        return outcome

    def _arguments(self, contender: Contender, order: Order) -> list[str]:
        model = MODELS[order.model]
        arguments = [f"--port={contender.port}", f"--body={self.bodies[order.model]}"]
        arguments += [f"--connections={order.connections}", f"--seconds={order.seconds}"]
        arguments += [f"--rate={order.rate}", f"--requests={order.requests}"]
        arguments += ["--stream"] if model.streamed else [f"--least-bytes={model.size * 9 // 10}"]
        return arguments + [f"--header={name}: {value}" for name, value in contender.headers]
