"""The machine a result was measured on, and which of its cores do what."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FEWEST, SPACIOUS = 2, 4


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    load_average: float
    measured_at: str


@dataclass(frozen=True, slots=True)
class Cores:
    """Core lists as taskset writes them. `server_pair` overlaps `clients` on a machine of fewer than four cores."""

    server: str
    server_pair: str
    clients: str
    overlapping: bool


def describe() -> Machine:
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    memory = Path("/proc/meminfo").read_text().splitlines()[0]
    return Machine(
        cpu=next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "unknown"),
        cores=os.cpu_count() or 1,
        memory_gb=round(int(memory.split()[1]) / 1024**2, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        load_average=os.getloadavg()[0],
        measured_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def choose_cores() -> Cores:
    """Core 0 for the server, core 1 for the mock and the load; with four cores or more, two and two."""
    count = os.cpu_count() or 1
    if count < FEWEST:
        raise SystemExit("bench: two cores are needed, one for the server and one for the load")
    if count < SPACIOUS:
        return Cores(server="0", server_pair="0,1", clients="1", overlapping=True)
    return Cores(server="0", server_pair="0,1", clients="2,3", overlapping=False)
