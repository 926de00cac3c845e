"""Interleaved rounds: every measure is taken of one contender after the other, so that noise meets all alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.load import Loader, LoadFailed, Order
from bench.measures import MEASURES, Effort, Sample, order_for, take
from bench.startup import Running

WARM_SECONDS = 1.0
WARM_MODELS = ("mock-512", "mock-100k", "mock-stream")


@dataclass(frozen=True, slots=True)
class Rounds:
    """`samples[contender][measure]` has one sample per round; `failed[contender]` says why it is out."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def run_rounds(contenders: Sequence[Running], *, loader: Loader, effort: Effort, say: Callable[[str], None]) -> Rounds:
    rounds = Rounds(samples={running.contender.name: {} for running in contenders})
    for running in contenders:
        for model in WARM_MODELS:
            _take(rounds, running, Order(model, running.contender.pace.streams, WARM_SECONDS), loader)
    for number in range(effort.rounds):
        for measure in MEASURES:
            say(f"round {number + 1} of {effort.rounds}: {measure.name} ({measure.kind.value})")
            for running in contenders:
                sample = _take(rounds, running, order_for(measure, running.contender.pace, effort), loader)
                if sample:
                    rounds.samples[running.contender.name].setdefault(measure.name, []).append(sample)
    return rounds


def _take(rounds: Rounds, running: Running, order: Order, loader: Loader) -> Sample | None:
    name = running.contender.name
    if name in rounds.failed:
        return None
    try:
        return take(running, order, loader)
    except LoadFailed as error:
        ended = running.process and not running.process.alive
        rounds.failed[name] = f"ended: {running.process.last_words()}" if running.process and ended else str(error)
        return None
