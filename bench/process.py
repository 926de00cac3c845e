"""A process under measurement: pinned, in its own group, read from /proc with all its children, stopped whole."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
GRACE = 5.0
LOG_TAIL = 400


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat tells: `seconds` of CPU, of the process and of the children that it has waited for."""

    parent: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    log: Path
    popen: subprocess.Popen[bytes]

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def cpu_seconds(self) -> float:
        """User and system time so far, summed over the tree."""
        stats = read_stats()
        return sum(stats[pid].seconds for pid in tree(self.pid, stats) if pid in stats)

    def resident_mb(self) -> float:
        """VmRSS summed over the tree; pages that processes share count once for each."""
        return sum(_resident_kb(pid) for pid in tree(self.pid, read_stats())) / 1024

    def last_words(self) -> str:
        """The end of its log, on one line."""
        return " ".join(self.log.read_text(errors="replace").split())[-LOG_TAIL:]


@contextmanager
def running(
    command: Sequence[str], *, cores: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Starts the command pinned to `cores` (as taskset writes them); on the way out stops it and all its children."""
    with log.open("wb") as output:
        popen = subprocess.Popen(
            ["taskset", "-c", cores, *command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Process(pid=popen.pid, log=log, popen=popen)
    finally:
        _stop(popen)


def parse_stat(text: str) -> Stat:
    """Reads one /proc/PID/stat; the command's name, in parentheses, may hold anything."""
    fields = text.rpartition(")")[2].split()
    return Stat(parent=int(fields[1]), seconds=sum(int(ticks) for ticks in fields[11:15]) * TICK)


def read_stats() -> dict[int, Stat]:
    """Every process of the machine that could be read."""
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stats[int(folder.name)] = parse_stat((folder / "stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return stats


def tree(root: int, stats: Mapping[int, Stat]) -> set[int]:
    """The process and all its descendants."""
    members = {root}
    while found := {pid for pid, stat in stats.items() if stat.parent in members} - members:
        members |= found
    return members


def _resident_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def _stop(popen: subprocess.Popen[bytes]) -> None:
    members = tree(popen.pid, read_stats())
    _signal_group(popen.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and (popen.poll() is None or _alive(members - {popen.pid})):
        time.sleep(0.02)
    _signal_group(popen.pid, signal.SIGKILL)
    for pid in _alive(members - {popen.pid}):
        os.kill(pid, signal.SIGKILL)
    popen.wait()


def _alive(members: set[int]) -> set[int]:
    return members & read_stats().keys()


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return
