"""`python -m bench.dialects`: what a call costs between every two dialects, beside LiteLLM's proxy doing the same.

It prints a table of CPU µs, of user and system time, and keeps it in bench/results/.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.contender import NotAvailable, Site, free_port
from bench.dialects.contenders import OURS, THEIRS, prepare_ours, prepare_theirs
from bench.dialects.measured import Bench, Costs, costs
from bench.dialects.workload import CLIENTS, LONG, PROVIDERS, SHORT, request_body
from bench.load import LoadFailed
from bench.machine import Cores, choose_cores, describe
from bench.process import running
from bench.programs import compile_programs
from bench.report import figure, table, times
from bench.stage import wait_for_listener
from bench.startup import Running, started
from bench.targets import ratio

FOLDER = Path(__file__).parents[1]
PREPARED = {OURS: prepare_ours, THEIRS: prepare_theirs}
HEAD = ("client", "provider", "how", "per call", "LiteLLM's", "÷ ours", "per chunk", "LiteLLM's", "÷ ours")

Cell = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """By contender, client and provider: the rounds' costs, or why there are none."""

    costs: dict[Cell, list[Costs]] = field(default_factory=dict)
    failed: dict[Cell, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def middle(self, cell: Cell, kind: str) -> float | None:
        values = [getattr(each, kind) for each in self.costs.get(cell, ())]
        return None if not values or cell in self.failed else median(values)


def main() -> int:
    """1 when a pair of dialects could not be measured of llmgw."""
    parser = argparse.ArgumentParser(prog="python -m bench.dialects", description=__doc__)
    parser.add_argument("--only", metavar="PROVIDERS", help=f"some of {','.join(PROVIDERS)}")
    parser.add_argument("--rounds", type=int, default=2, help="medians are of so many rounds")
    parser.add_argument("--seconds", type=float, default=1.0, help="of load, for each figure")
    parser.add_argument("--peers", choices=("yes", "no"), default="yes", help="no: llmgw alone")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))
    providers = arguments.only.split(",") if arguments.only else PROVIDERS
    names = list(PREPARED) if arguments.peers == "yes" else [OURS]
    cores = choose_cores()
    os.sched_setaffinity(0, {int(core) for core in cores.clients.split(",")})
    with _stage(names, cores, seconds=arguments.seconds) as (bench, contenders, found):
        machine = describe()
        for number in range(arguments.rounds):
            _say(f"round {number + 1} of {arguments.rounds}")
            _measure(bench, contenders, providers, found)
    page = render(found, providers)
    place = FOLDER / "results" / f"{datetime.now(UTC):%Y-%m-%d-%H%M}-dialects.md"
    place.write_text(
        f"# Dialects, measured {machine.measured_at}\n\n{machine.cpu}, Python {machine.python}, "
        f"load average at the start {machine.load_average:.2f}. {_told(contenders)}\n\n{page}\n"
    )
    print(page)
    _say(f"kept as {place.relative_to(FOLDER.parent)}")
    return 1 if any(cell[0] == OURS for cell in found.failed) else 0


def render(found: Found, providers: Sequence[str]) -> str:
    """The table, and what could not be measured."""
    rows = []
    for client in CLIENTS:
        for provider in providers:
            ours, theirs = (OURS, client.name, provider), (THEIRS, client.name, provider)
            row = [client.name, provider, _how(client.relays, provider)]
            for kind in ("call", "chunk"):
                one, other = found.middle(ours, kind), found.middle(theirs, kind)
                row += [figure(one), figure(other), times(ratio(other, one))]
            rows.append(row)
    failed = [f"- {' / '.join(cell)}: {why}" for cell, why in found.failed.items()]
    missing = [f"- {name}: not available: {why}" for name, why in found.missing.items()]
    return "\n".join([table(HEAD, rows), *([""] if failed or missing else []), *failed, *missing])


def _how(relays: str, provider: str) -> str:
    return "relayed" if relays == provider else "through litellm" if provider == "litellm" else "translated"


def _measure(bench: Bench, contenders: Mapping[str, Running], providers: Sequence[str], found: Found) -> None:
    for client in CLIENTS:
        for provider in providers:
            for name, contender in contenders.items():
                cell = (name, client.name, provider)
                if cell in found.failed:
                    continue
                try:
                    taken = costs(bench, contender, client, provider)
                except LoadFailed as error:
                    found.failed[cell] = str(error)
                    _say(f"{' / '.join(cell)}: {error}")
                    continue
                found.costs.setdefault(cell, []).append(taken)
                _say(f"{' / '.join(cell)}: {taken.call:.1f} µs per call, {taken.chunk:.2f} per chunk")


@contextmanager
def _stage(
    names: Sequence[str], cores: Cores, *, seconds: float
) -> Iterator[tuple[Bench, Mapping[str, Running], Found]]:
    """The provider and the contenders, running; they are stopped on the way out."""
    build, found = FOLDER / ".build", Found()
    programs = compile_programs(build)
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder, ExitStack() as open:
        scratch, port = Path(folder), free_port()
        command = [sys.executable, "-m", "bench.dialects.provider", str(port)]
        open.enter_context(running(command, cores=cores.clients, log=scratch / "provider.log"))
        wait_for_listener(port)
        first = scratch / "first.json"
        first.write_bytes(request_body(CLIENTS[0], "litellm", words=SHORT, streamed=False))  # imports the SDK
        contenders = {}
        for name in names:
            _say(f"starting {name}")
            site = Site(build, Path(tempfile.mkdtemp(dir=scratch)), port)
            try:
                contender = PREPARED[name](site)
                contenders[name] = open.enter_context(
                    started(contender, cores=cores.server, body=first, log=scratch / f"{name}.log")
                )
            except NotAvailable as error:
                if name == OURS:
                    raise SystemExit(f"bench: {name}: not available: {error}") from error
                found.missing[name] = str(error)
                _say(f"{name}: not available: {error}")
        yield Bench(programs.load, cores.clients, scratch, seconds, warm=0.5), contenders, found


def _told(contenders: Mapping[str, Running]) -> str:
    versions = ", ".join(f"{name} {each.contender.version}" for name, each in contenders.items())
    return (
        f"{versions}. CPU µs, user and system, of the whole process: per call, with an answer of {SHORT} words that is not "
        f"streamed; per chunk, the slope between streams of {SHORT} and {LONG}."
    )


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
