"""`python -m bench.cache --data DIR`: what the semantic cache finds and gets wrong on labelled questions, beside other rules.

Needs what `make semantic` installs. It ends with the goals, each reached or missed; the exit status is 1 where one was missed,
and 2 where the folder cannot be read. All of it takes less than 10 minutes on two cores, `--quick` less than 2.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.cache import cost, data, goals, pairs, promise, traps
from bench.cache.data import Asked
from bench.cache.embedded import Embedded
from bench.cache.goals import Goal
from bench.cache.neighbours import Neighbours
from bench.cache.rules import GPTCACHE, REDISVL, Ours, Rule, Static, Unproven, VCache
from bench.cache.stream import Outcome, run
from gateway.cache.semantic.earned import Promise

_SEED = 1
_WRITTEN_THRESHOLDS = (0.80, 0.85, 0.90)
_FEWEST_TEXTS = 400


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cache",
        description=f"{__doc__}\n{data.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a folder of labelled questions")
    parser.add_argument("--only", metavar="NAMES", help="files, by their names without endings, with commas")
    parser.add_argument("--quick", action="store_true", help="a sample of it all; too few streams to judge the promise")
    parser.add_argument("--pairs", type=int, metavar="N", help="of a file at most (1,500; quick: 200)")
    parser.add_argument("--questions", type=int, metavar="N", help="to a stream at most (10,000; quick: 1,500)")
    parser.add_argument("--streams", type=int, metavar="N", help="drawn anew for the promise (200; quick: 10)")
    parser.add_argument("--length", type=int, default=3_000, metavar="N", help="questions to each of these")
    parser.add_argument("--max-error", type=float, default=0.05, metavar="SHARE", help="of wrong hits among hits")
    options = parser.parse_args()
    try:
        found = data.read(options.data)
        found = data.only(found, options.only.split(",")) if options.only else found
    except data.BadFolder as wrong:
        print(f"bench.cache: {wrong}", file=sys.stderr)
        return 2
    quick = options.quick
    most_pairs = options.pairs or (200 if quick else 1_500)
    most_questions = options.questions or (1_500 if quick else 10_000)
    streams = options.streams if options.streams is not None else (10 if quick else 200)
    found = data.some(found, pairs=most_pairs, questions=most_questions)
    report = Report(found, Promise(max_error=options.max_error), streams, options.length)
    for part in report.parts():
        print(part, flush=True)
    return int(any(goal.reached is False for goal in report.goals))


@dataclass(slots=True)
class Report:
    """What is printed, part by part; `goals` grow as it goes on. `streams` of `length` questions try the promise."""

    found: data.Data
    bound: Promise
    streams: int
    length: int
    embedded: Embedded = field(default_factory=Embedded)
    goals: list[Goal] = field(default_factory=list)

    def parts(self) -> Iterator[str]:
        yield f"# Semantic cache\n\nmax_error {self.bound.max_error:.0%}, confidence {self.bound.confidence:.0%}, MiniLM."
        self._embed()
        for name, some in self.found.pairs.items():
            yield f"\n## Pairs: {name}\n\nShare served, without the guard → with it, from a similarity of:\n"
            yield _table(("kind", "wants", "pairs", *map(str, pairs.THRESHOLDS)), pairs.table(some, self.embedded))
        if self.found.pairs:
            self.goals += goals.of_pairs(self.found, self.embedded)
        for name, asked in self.found.open_traffic.items():
            yield from self._open(name, asked)
        for name, asked in self.found.intents.items():
            yield from self._repeating(name, asked)
        yield from self._parts()
        yield "\n## Goals\n"
        yield _table(("goal", "measured", ""), [(one.text, one.measured, _WORDS[one.reached]) for one in self.goals])

    def _embed(self) -> None:
        texts = [text for some in self.found.pairs.values() for pair in some for text in (pair.a, pair.b)]
        self.embedded.all([*texts, *self._questions()])
        print(
            f"bench: {len(texts):,} texts of pairs, {len(self._questions()):,} questions", file=sys.stderr, flush=True
        )

    def _questions(self) -> list[str]:
        streams = (*self.found.intents.values(), *self.found.open_traffic.values())
        return list(dict.fromkeys(one.text for asked in streams for one in asked))

    def _open(self, name: str, asked: list[Asked]) -> Iterator[str]:
        outcomes = self._outcomes(asked, Neighbours([one.text for one in asked], self.embedded), answers_repeat=False)
        yield f"\n## Stream: {name}, {len(asked):,} questions\n"
        yield _table(_STREAM_HEAD, [_row(*one) for one in outcomes.items()])
        written = {least: outcomes[_written(least)] for least in _WRITTEN_THRESHOLDS}
        self.goals += goals.of_open_traffic(name, written, outcomes[OURS], self.bound.max_error)

    def _repeating(self, name: str, asked: list[Asked]) -> Iterator[str]:
        neighbours = Neighbours([one.text for one in asked], self.embedded)
        outcomes = self._outcomes(asked, neighbours, answers_repeat=True)
        prose = run(asked, Ours(self.bound, _SEED), neighbours, self.embedded, answers_repeat=False)
        outcomes[f"{OURS}, as if answers were prose"] = prose
        yield f"\n## Stream: {name}, {len(asked):,} questions, answers are labels\n"
        yield _table(_STREAM_HEAD, [_row(*one) for one in outcomes.items()])
        self.goals += goals.of_intents(name, outcomes[OURS], self.bound.max_error)
        if self.streams:
            length = min(self.length, len(asked) // 2)
            broken = promise.resample(
                asked, neighbours, self.embedded, streams=self.streams, length=length, promise=self.bound
            )
            counts = (broken.streams, broken.earned, broken.broken, broken.broken_and_long)
            yield f"\nThe promise, on streams of {length:,} of these drawn anew:\n"
            yield _table(_PROMISE_HEAD, [(*map(str, counts), f"{broken.worst:.1%}")])
            self.goals.append(goals.of_promise(name, broken))

    def _outcomes(self, asked: Sequence[Asked], neighbours: Neighbours, *, answers_repeat: bool) -> dict[str, Outcome]:
        outcomes = {}
        for name, rule in _rules(self.bound).items():
            print(f"bench: {name}", file=sys.stderr, flush=True)
            outcomes[name] = run(asked, rule(), neighbours, self.embedded, answers_repeat=answers_repeat)
        return outcomes

    def _parts(self) -> Iterator[str]:
        texts = self._questions()
        random.Random(_SEED).shuffle(texts)
        fallen = list(traps.rows(texts, self.embedded))
        yield "\n## Traps\n"
        yield _table(("trap", "pairs compared at all"), [(name, f"{bad} of {count}") for name, bad, count in fallen])
        self.goals += goals.of_traps(fallen)
        if len(texts) >= _FEWEST_TEXTS:
            spent = cost.measure(texts, self.embedded)
            yield "\n## Cost\n"
            yield _table(("", "CPU"), spent.rows())
            self.goals += spent.goals()


OURS = "llmgw, earned"
_WORDS = {True: "reached", False: "MISSED", None: "not judged: too few"}
_STREAM_HEAD = (
    *("rule", "hits", "wrong / hits", "wrong / all", "2nd half: hits", "2nd half: wrong / hits"),
    *("repeats found", "remarks"),
)
_PROMISE_HEAD = ("streams", "served", "above max_error", "… of ≥ 100 hits", "worst of ≥ 100 hits")


def _written(threshold: float) -> str:
    return f"llmgw, threshold {threshold:.2f}"


def _rules(bound: Promise) -> dict[str, Callable[[], Rule]]:
    return {
        f"GPTCache, {GPTCACHE:.2f}": lambda: Static(GPTCACHE),
        "GPTCache, 0.80": lambda: Static(0.80),
        f"redisvl, {REDISVL:.2f}": lambda: Static(REDISVL),
        "vCache, delta .01": lambda: VCache(0.01, _SEED),
        "vCache, delta .02": lambda: VCache(0.02, _SEED),
        **{_written(least): partial(Unproven, least) for least in _WRITTEN_THRESHOLDS},
        OURS: lambda: Ours(bound, _SEED),
    }


def _row(name: str, one: Outcome) -> tuple[str, ...]:
    shares = (one.hits, one.wrong_among_hits, one.wrong_among_all, one.late_hits, one.late_wrong_among_hits, one.found)
    return (name, *(f"{share:.1%}" for share in shares), one.note)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
