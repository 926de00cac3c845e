"""`python -m bench.ledger`: proves the ledger's promises on running gateways, and keeps the figures in bench/results/."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.ledger.cost import cost
from bench.ledger.fair import fair
from bench.machine import describe
from bench.report import table
from tests.ledger import crash, leave, outage, spend
from tests.ledger.finding import Finding, broken
from tests.ledger.gateway import Wanted
from tests.redis_server import redis_server

FOLDER = Path(__file__).parent.parent
EMBEDDED = "embedded"

Scene = Callable[[Path, Wanted], Coroutine[Any, Any, list[Finding]]]
Findings = Mapping[str, list[Finding]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done of each; see the scenarios."""

    spend: spend.Size
    crash: crash.Size
    stops: int
    leave: int
    outage: outage.Size
    fair: float
    rounds: int


FULL = Effort(spend.Size(64, 4000, 20_000_000), crash.Size(100, 50), 2, 100, outage.Size(200, 30), 15, 5)
QUICK = Effort(spend.Size(64, 1000, 5_000_000), crash.Size(100, 2), 0, 10, outage.Size(200, 3), 10, 2)


def main() -> int:
    """1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="everything once, in a few minutes")
    parser.add_argument("--only", metavar="NAMES", help="some of R1,R2,R3,R6,R27,cost")
    options = parser.parse_args()
    effort = QUICK if options.quick else FULL
    wanted = set(options.only.split(",")) if options.only else None
    found = dict(run(effort, wanted))
    (FOLDER / "results").mkdir(exist_ok=True)
    page = FOLDER / "results" / f"{datetime.now(UTC):%Y-%m-%d-%H%M}-ledger.md"
    page.write_text(render(found))
    print(render(found))
    print(f"bench: kept as {page.relative_to(FOLDER.parent)}", file=sys.stderr)
    return 1 if any(broken(findings, timing=True) for findings in found.values()) else 0


def run(effort: Effort, wanted: set[str] | None) -> Iterator[tuple[str, list[Finding]]]:
    """Each scenario's title and what it found; `wanted` are the first words of titles."""
    for title, (scene, setting) in scenes(effort).items():
        if wanted is None or title.split()[0] in wanted:
            print(f"bench: {title}", file=sys.stderr, flush=True)
            with place(setting) as (folder, asked):
                yield title, asyncio.run(scene(folder, asked))
    if wanted is None or "R27" in wanted:
        print("bench: R27", file=sys.stderr, flush=True)
        yield "R27", fair(FOLDER / ".build", seconds=effort.fair)
    if wanted is None or "cost" in wanted:
        print("bench: cost", file=sys.stderr, flush=True)
        yield "cost of a reservation", cost(FOLDER / ".build", rounds=effort.rounds, seconds=3.0)


@dataclass(frozen=True, slots=True)
class Setting:
    is_redis: bool
    escrow: bool

    def __str__(self) -> str:
        return f"{'Redis' if self.is_redis else 'embedded'}, {'slices' if self.escrow else 'no slices'}"


SETTINGS = tuple(Setting(is_redis, escrow) for is_redis in (True, False) for escrow in (True, False))


def scenes(effort: Effort) -> Mapping[str, tuple[Scene, Setting]]:
    found: dict[str, tuple[Scene, Setting]] = {}
    for setting in SETTINGS:
        for change in spend.Change:
            found[f"R1 ({setting}): {change.value}"] = (_spend(effort, change), setting)
    for setting in SETTINGS:
        found[f"R2 ({setting}): kill -9"] = (_crash(effort), setting)
    for setting in SETTINGS[:2]:
        if effort.stops:
            found[f"R2 ({setting}): a minute of SIGSTOP"] = (_stop(effort), setting)
        found[f"R3 ({setting})"] = (_leave(effort), setting)
        for name, fault in outage.FAULTS.items():
            found[f"R6 ({setting}): {name}"] = (_outage(effort, fault), setting)
    return found


def render(found: Findings) -> str:
    """A table for each scenario, as Markdown."""
    machine = describe()
    head = f"{machine.cpu}, {machine.cores} cores, Python {machine.python}; measured {machine.measured_at}."
    parts = [f"# The ledger's promises, {machine.measured_at}", head]
    for title, findings in found.items():
        rows = [[each.promise, each.asked, each.seen, _VERDICTS[each.holds]] for each in findings]
        parts += [f"## {title}", table(["promise", "asked", "seen", ""], rows)]
    return "\n\n".join(parts) + "\n"


@contextmanager
def place(setting: Setting) -> Iterator[tuple[Path, Wanted]]:
    """A folder of its own, and a Redis where one is wanted."""
    with tempfile.TemporaryDirectory(prefix="llmgw-ledger-") as folder:
        if not setting.is_redis:
            yield Path(folder), Wanted("", EMBEDDED, escrow=setting.escrow)
            return
        with redis_server() as redis:
            yield Path(folder), Wanted("", redis.url, escrow=setting.escrow)


_VERDICTS = {True: "kept", False: "BROKEN", None: ""}


def _spend(effort: Effort, change: spend.Change) -> Scene:
    return lambda folder, wanted: spend.spend(folder, effort.spend, wanted, change)


def _crash(effort: Effort) -> Scene:
    return lambda folder, wanted: crash.crash(folder, effort.crash, wanted)


def _stop(effort: Effort) -> Scene:
    return lambda folder, wanted: crash.stop(folder, effort.crash, wanted, times=effort.stops)


def _leave(effort: Effort) -> Scene:
    return lambda folder, wanted: leave.leave(folder, times=effort.leave, wanted=wanted)


def _outage(effort: Effort, fault: outage.Fault) -> Scene:
    return lambda folder, wanted: outage.outage(folder, fault, effort.outage, wanted)


if __name__ == "__main__":
    sys.exit(main())
