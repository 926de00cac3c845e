"""How soon a worse version of a template is stepped back, and how often one that is no worse: `python -m bench.rollout`.

Each simulated rollout draws a version for every call, and the verdict is looked at after each. Errors are 5 %, latency and
cost are log-normal with sigma 0.8, and callers rate every fifth call, four fifths of those good, unless a scenario says
otherwise.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from gateway.template.rollout.bounds import Measure, StepBack, written
from gateway.template.rollout.evidence import Evidence, Watched, shown

SIGMA = 0.8


@dataclass(frozen=True, slots=True)
class Version:
    """What its calls are like. `slower` and `dearer` are factors."""

    errors: float = 0.05
    slower: float = 1.0
    dearer: float = 1.0
    good: float = 0.8
    rated: float = 0.2

    def call(self, random: Random) -> Iterator[tuple[Measure, float]]:
        failed = random.random() < self.errors
        yield Measure.ERRORS, float(failed)
        if failed:
            return
        yield Measure.LATENCY, self.slower * math.exp(random.gauss(0, SIGMA))
        yield Measure.COST, self.dearer * math.exp(random.gauss(0, SIGMA))
        if random.random() < self.rated:
            yield Measure.FEEDBACK, float(random.random() >= self.good)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`is_worse`: it should be stepped back. The last call at which it still can be is `calls`."""

    name: str
    new: Version
    is_worse: bool
    calls: int
    current: Version = field(default_factory=Version)


EQUAL = Scenario("equal", Version(), False, 5_000)
SCENARIOS = (
    EQUAL,
    Scenario("at every bound", Version(0.06, 1.5, 1.5, 0.7), False, 5_000),
    Scenario("errors doubled: 5 % to 10 %", Version(errors=0.1), True, 50_000),
    Scenario("errors 5 % to 30 %", Version(errors=0.3), True, 50_000),
    Scenario("latency doubled", Version(slower=2), True, 50_000),
    Scenario("cost doubled", Version(dearer=2), True, 50_000),
    Scenario("good feedback 80 % to 50 %", Version(good=0.5), True, 50_000),
)


@dataclass(frozen=True, slots=True)
class Stopped:
    """When a version was stepped back: after how many calls of its own, and how many in all."""

    own: int
    calls: int


def rolled_out(scenario: Scenario, random: Random, *, weight: float, bounds: StepBack) -> Stopped | None:
    """One rollout, looked at after each call; None: it was left alone."""
    watched, own = Watched(bounds), 0
    for number in range(1, scenario.calls + 1):
        is_new = random.random() < weight
        own += is_new
        outcomes = list((scenario.new if is_new else scenario.current).call(random))
        has_news = [watched.note(measure, value, is_new=is_new) is not None for measure, value in outcomes]
        if any(has_news) and is_crossed(watched.news, bounds):
            return Stopped(own, number)
    return None


def is_crossed(evidence: Evidence, bounds: StepBack) -> bool:
    return any(each.is_crossed for each in shown(evidence, bounds, versions=1))


def simulated(scenario: Scenario, *, rollouts: int, seed: int, weight: float = 0.1) -> list[Stopped | None]:
    bounds = StepBack()
    return [
        rolled_out(scenario, Random(f"{seed} {number}"), weight=weight, bounds=bounds) for number in range(rollouts)
    ]


def quantile(values: Sequence[int], share: float) -> int:
    """The least value that this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rollout", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=400, help="for each scenario (%(default)s)")
    parser.add_argument("--weight", type=float, default=0.1, help="of the new version (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    bounds = ", ".join(f"{measure.value} {written(measure, limit)}" for measure, limit in StepBack().limits())
    print(f"{args.rollouts} rollouts each, {args.weight:.0%} on the new version; {bounds}; 95% confidence\n")
    head = ("scenario", "calls", "stepped back", "own calls: median", "95th", "all calls: median", "95th")
    print(" | ".join(head))
    for scenario in SCENARIOS:
        found = simulated(scenario, rollouts=args.rollouts, seed=args.seed, weight=args.weight)
        stopped = [each for each in found if each is not None]
        row = [scenario.name, f"{scenario.calls:,}", f"{len(stopped)} of {len(found)}"]
        for values in ([each.own for each in stopped], [each.calls for each in stopped]):
            row += [f"{quantile(values, share):,}" if values else "-" for share in (0.5, 0.95)]
        print(" | ".join(row), flush=True)


if __name__ == "__main__":
    main()
