"""`python -m bench`: measures llmgw and its peers side by side, prints the tables and keeps them in bench/results/."""

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.alone import Alone, measure_alone
from bench.contender import NotAvailable
from bench.contenders import CONTENDERS
from bench.load import LoadFailed
from bench.machine import choose_cores, describe
from bench.measures import FULL, QUICK, Effort
from bench.programs import compile_programs
from bench.result import Result, render, write_result
from bench.rounds import Rounds, run_rounds
from bench.stage import Stage, set_stage
from bench.startup import Running
from bench.summary import Life, Summary, summarize
from bench.targets import assess

FOLDER = Path(__file__).parent
ALWAYS = "direct"
OURS = "llmgw"


def main() -> int:
    """1 when llmgw was asked for and could not be measured; a missing peer is only reported."""
    arguments = parse_arguments(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))
    names = chosen(arguments.only, peers=arguments.peers == "yes")
    programs = compile_programs(FOLDER / ".build")
    with set_stage(FOLDER / ".build", programs, choose_cores()) as stage:
        result = measure(stage, names, QUICK if arguments.quick else FULL)
    print(render(result))
    say(f"kept as {write_result(result, FOLDER / 'results').relative_to(FOLDER.parent)} and .json")
    return 1 if OURS in result.not_available else 0


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(CONTENDERS)}; direct always takes part")
    parser.add_argument("--quick", action="store_true", help="one short round, a shorter soak")
    parser.add_argument("--peers", choices=("yes", "no"), default="yes", help="no: llmgw alone")
    return parser.parse_args(words)


def chosen(only: str | None, *, peers: bool) -> list[str]:
    """The contenders' names in the table's order. Raises SystemExit on a name that is none."""
    wanted = set(only.split(",")) if only else set(CONTENDERS) if peers else {OURS}
    if unknown := wanted - CONTENDERS.keys():
        raise SystemExit(f"bench: no contender {', '.join(sorted(unknown))}; there are {', '.join(CONTENDERS)}")
    return [name for name in CONTENDERS if name in wanted | {ALWAYS}]


def measure(stage: Stage, names: Sequence[str], effort: Effort) -> Result:
    machine = describe()
    missing: dict[str, str] = {}
    with ExitStack() as servers:
        contenders = _start_all(stage, names, servers, missing)
        rounds = run_rounds(contenders, loader=stage.loader, effort=effort, say=say)
        summaries = {running.contender.name: _summarize(running, rounds) for running in contenders}
    alone = _measure_alone(stage, effort, missing) if OURS in summaries else None
    cold_starts = alone.cold_starts if alone else []
    soaked, scaling = (alone.soaked, alone.scaling) if alone else (None, None)
    told = alone.telemetry if alone else None
    return Result(
        machine=machine,
        cores=stage.cores,
        effort=effort,
        versions={running.contender.name: running.contender.version for running in contenders},
        not_available=missing | rounds.failed,
        samples=rounds.samples,
        summaries=summaries,
        cold_starts=cold_starts,
        soaked=soaked,
        scaling=scaling,
        telemetry=told,
        kept=alone.kept if alone else None,
        notes=alone.notes if alone else [],
        targets=assess(
            summaries,
            cold_start=median(cold_starts) if cold_starts else None,
            soaked=soaked,
            scaling=scaling,
            traced=told.added_us("and every trace") if told else None,
            kept=alone.kept if alone else None,
        ),
    )


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _start_all(stage: Stage, names: Sequence[str], servers: ExitStack, missing: dict[str, str]) -> list[Running]:
    contenders = []
    for name in names:
        say(f"starting {name}")
        try:
            contenders.append(servers.enter_context(stage.start(CONTENDERS[name](stage.site()))))
        except NotAvailable as error:
            say(f"{name}: not available: {error}")
            missing[name] = str(error)
    return contenders


def _summarize(running: Running, rounds: Rounds) -> Summary:
    name, process = running.contender.name, running.process
    after = process.resident_mb() if process and process.alive else None
    life = Life(running.cold_start, running.idle_mb, after)
    return summarize(name, rounds.samples[name], direct=rounds.samples[ALWAYS], life=life)


def _measure_alone(stage: Stage, effort: Effort, missing: dict[str, str]) -> Alone | None:
    say("llmgw alone: cold starts, soak, two workers against one, traces")
    try:
        return measure_alone(stage, effort)
    except (NotAvailable, LoadFailed) as error:
        missing[OURS] = f"alone: {error}"
        return None


if __name__ == "__main__":
    sys.exit(main())
