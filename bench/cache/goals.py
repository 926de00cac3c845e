"""The cache's goals, each with what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.cache.data import Data, Pair
from bench.cache.embedded import Embedded
from bench.cache.promise import Broken
from bench.cache.stream import Outcome
from gateway.cache.semantic.earned import LADDER

WIDEST = LADDER[-1]
"""The lowest similarity that can be earned: pairs are judged there, where the most is served."""

SHORTEST = 5_000
"""Questions to a stream whose shares say anything: in a shorter one most are asked for the first time, and few are near."""

FINE_AFTER_ALL = 32 / 60
"""Of the guarded hits on Quora's pairs that are wrong by their labels: the share that a judge who read 60 of them found right."""

_FEWEST_STREAMS = 200
_FEWEST_HITS = 20


@dataclass(frozen=True, slots=True)
class Goal:
    """`reached` is None where the data do not suffice to say."""

    text: str
    measured: str
    reached: bool | None


def of_pairs(found: Data, embedded: Embedded) -> Iterator[Goal]:
    generated, written = _all(found.generated), _all(found.written)
    inferred = _all(found.inferred)
    yield _at_most("near-misses, generated", 0.02, [pair for pair in generated if not pair.same], embedded)
    yield _at_most("near-misses, written by hand", 0.10, [pair for pair in written if not pair.same], embedded)
    for name, pairs in found.written.items():
        yield _at_most(f"… {name}", 0.10, [pair for pair in pairs if not pair.same], embedded)
    contradictions = [pair for pair in inferred if pair.kind == "contradiction"]
    yield _at_most("SICK's contradictions", 0.02, contradictions, embedded)
    for name, pairs in {"paraphrases, written by hand": written, **found.written}.items():
        served, count = _served([pair for pair in pairs if pair.same], embedded)
        text = f"{name if pairs is written else f'… {name}, paraphrases'} served: at least 75 %"
        yield Goal(text, _share(served, count), served >= 0.75 * count if count else None)


def _at_most(text: str, limit: float, pairs: Sequence[Pair], embedded: Embedded) -> Goal:
    served, count = _served(pairs, embedded)
    return Goal(
        f"{text} served: at most {limit:.0%}", _share(served, count), served <= limit * count if count else None
    )


def of_intents(name: str, one: Outcome, max_error: float) -> Iterator[Goal]:
    text = (
        f"{name}: in the 2nd half at least 40 % hits, at most {max_error:.0%} of them wrong, at most 400 calls compared"
    )
    measured = f"{one.late_hits:.1%}, {one.late_wrong_among_hits:.1%}, {one.compared}"
    is_reached = one.late_hits >= 0.40 and one.late_wrong_among_hits <= max_error and one.compared <= 400
    yield Goal(text, measured, is_reached if one.calls >= SHORTEST else None)


def of_open_traffic(name: str, by_threshold: dict[float, Outcome], earned: Outcome, max_error: float) -> Iterator[Goal]:
    """`by_threshold` are the guard's outcomes at thresholds that an admin would write."""
    fitting = {least: one for least, one in by_threshold.items() if audited(one) >= 0.93}
    text = f"{name}: at least 35 % of repeats found, with at least 93 % right when read"
    if fitting:
        least = min(fitting)
        best = fitting[least]
        labels = 1 - best.wrong_among_hits
        told = f"{best.found:.1%}, {audited(best):.1%} (labels say {labels:.1%}) at {least:.2f}"
        yield Goal(text, told, best.found >= 0.35 if best.calls >= SHORTEST else None)
    else:
        best = max(by_threshold.values(), key=audited)
        yield Goal(text, f"{audited(best):.1%} at most", False if best.calls >= SHORTEST else None)
    quiet = earned.served < _FEWEST_HITS or earned.wrong_among_hits <= max_error
    measured = f"{earned.served} served, {earned.wrong_among_hits:.1%} of them wrong"
    yield Goal(f"{name}: nothing served rather than more than {max_error:.0%} wrong", measured, quiet)


def audited(one: Outcome) -> float:
    """The share of right hits as a reader would find it, from the labels'."""
    return 1 - one.wrong_among_hits * (1 - FINE_AFTER_ALL)


def of_traps(rows: Iterable[tuple[str, int, int]]) -> Iterator[Goal]:
    for name, fallen, count in rows:
        yield Goal(f"trap: {name}: 0 compared at all", f"{fallen} of {count}", fallen == 0)


def of_promise(name: str, broken: Broken) -> Goal:
    text = f"{name}: the promise broken in at most 5 % of at least {_FEWEST_STREAMS} streams"
    measured = f"{broken.broken} of {broken.streams}"
    enough = broken.streams >= _FEWEST_STREAMS and broken.earned > 0
    return Goal(text, measured, broken.broken <= 0.05 * broken.streams if enough else None)


def _all(parts: dict[str, list[Pair]]) -> list[Pair]:
    return [pair for pairs in parts.values() for pair in pairs]


def _served(pairs: Sequence[Pair], embedded: Embedded) -> tuple[int, int]:
    served = sum(embedded.score(one.a, one.b) >= WIDEST and embedded.passes(one.a, one.b) for one in pairs)
    return served, len(pairs)


def _share(served: int, count: int) -> str:
    return f"{served / count:.1%} of {count:,}" if count else "no such pairs"
