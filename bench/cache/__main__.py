"""`python -m bench.cache --data DIR`: what the semantic cache finds and gets wrong on labelled questions, beside other rules.

DIR has JSON lines, plain or gzipped: pairs (`a`, `b`, `label` or `entail`, perhaps `cat` and clusters) and utterances (`text`,
`label`: those with one label have one answer). It needs the packages of the `semantic` extra; see docs/semantic-cache.md.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bench.cache import cost, data, pairs, promise, traps
from bench.cache.data import Asked
from bench.cache.embedded import Embedded
from bench.cache.rules import GPTCACHE, REDISVL, Ours, Rule, Static, Unproven, VCache
from bench.cache.stream import Outcome, run
from gateway.cache.semantic.earned import Promise

_SEED = 1
OURS = "llmgw, earned"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cache", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a folder of labelled questions")
    parser.add_argument("--only", metavar="NAMES", help="files, by their names without endings")
    parser.add_argument("--rules", default="", metavar="WORD", help="only rules whose name has this in it")
    parser.add_argument("--most", type=int, default=15_000, metavar="N", help="questions to a stream")
    parser.add_argument(
        "--streams", type=int, default=200, metavar="N", help="resampled streams for the promise, 0: none"
    )
    parser.add_argument("--length", type=int, default=5_000, metavar="N", help="questions to a resampled stream")
    parser.add_argument("--max-error", type=float, default=0.05, metavar="SHARE", help="of wrong hits among hits")
    options = parser.parse_args()
    found = data.read(options.data)
    if options.only:
        wanted = set(options.only.split(","))
        for sets in (found.pairs, found.intents, found.open_traffic):
            for name in [name for name in sets if name not in wanted]:
                del sets[name]
    for part in report(found, options):
        print(part, flush=True)
    return 0


def report(found: data.Data, options: argparse.Namespace) -> Iterator[str]:
    embedded = Embedded()
    bound = Promise(max_error=options.max_error)
    yield f"# Semantic cache\n\nmax_error {bound.max_error:.0%}, confidence {bound.confidence:.0%}, MiniLM."
    for name, some in found.pairs.items():
        yield f"\n## Pairs: {name}\n\nShare served, without the guard → with it, from a similarity of:\n"
        yield _table(("kind", "wants", "pairs", *map(str, pairs.THRESHOLDS)), pairs.table(some, embedded))
    for name, stream in _streams(found, options.most):
        is_open = name in found.open_traffic
        yield f"\n## Stream: {name}, {len(stream):,} questions{'' if is_open else ', answers are labels'}\n"
        yield _table(_STREAM_HEAD, _decided(stream, embedded, _rules(bound, options.rules), answers_repeat=not is_open))
    texts = [one.text for some in (*found.intents.values(), *found.open_traffic.values()) for one in some]
    texts = list(dict.fromkeys(texts))
    random.Random(_SEED).shuffle(texts)
    if len(texts) > 400:
        yield "\n## Traps\n"
        shown = [(name, f"{fallen} of {count}") for name, fallen, count in traps.rows(texts, embedded)]
        yield _table(("trap", "pairs compared at all"), shown)
        yield "\n## Cost\n"
        yield _table(("", "CPU"), cost.rows(texts, embedded))
    if options.streams and found.intents:
        yield f"\n## The promise, on streams of {options.length:,} drawn anew; a route learns from every would-be hit\n"
        yield _table(_PROMISE_HEAD, _promised(found, embedded, bound, options))


_STREAM_HEAD = (
    *("rule", "hits", "wrong / hits", "wrong / all", "2nd half: hits", "2nd half: wrong / hits"),
    *("repeats found", "remarks"),
)
_PROMISE_HEAD = ("set", "streams", "served", "above max_error", "… of ≥ 100 hits", "worst of ≥ 100 hits")


def _streams(found: data.Data, most: int) -> Iterator[tuple[str, list[Asked]]]:
    for name, asked in (*found.intents.items(), *found.open_traffic.items()):
        mixed = list(asked)
        random.Random(_SEED).shuffle(mixed)
        yield name, mixed[:most]


def _rules(bound: Promise, wanted: str) -> dict[str, Callable[[], Rule]]:
    every: dict[str, Callable[[], Rule]] = {
        f"GPTCache, {GPTCACHE}": lambda: Static(GPTCACHE),
        f"redisvl, {REDISVL}": lambda: Static(REDISVL),
        "vCache, delta .01": lambda: VCache(0.01, _SEED),
        "vCache, delta .02": lambda: VCache(0.02, _SEED),
        "llmgw, threshold .85": lambda: Unproven(0.85),
        "llmgw, threshold .90": lambda: Unproven(0.90),
        OURS: lambda: Ours(bound, _SEED),
    }
    return {name: rule for name, rule in every.items() if wanted in name}


def _decided(
    stream: Sequence[Asked], embedded: Embedded, rules: dict[str, Callable[[], Rule]], *, answers_repeat: bool
) -> Iterator[tuple[str, ...]]:
    for name, rule in rules.items():
        print(f"bench: {name}", file=sys.stderr, flush=True)
        yield _row(name, run(stream, rule(), embedded, answers_repeat=answers_repeat))
        if answers_repeat and name == OURS:
            yield _row(f"{name}, as if answers were prose", run(stream, rule(), embedded, answers_repeat=False))


def _row(name: str, one: Outcome) -> tuple[str, ...]:
    shares = (one.hits, one.wrong_among_hits, one.wrong_among_all, one.late_hits, one.late_wrong_among_hits, one.found)
    return (name, *(f"{share:.1%}" for share in shares), one.note)


def _promised(
    found: data.Data, embedded: Embedded, bound: Promise, options: argparse.Namespace
) -> Iterator[tuple[str, ...]]:
    eager = Promise(max_error=bound.max_error, confidence=bound.confidence, pace=1.0)
    for name, asked in found.intents.items():
        kept = promise.resample(asked, embedded, streams=options.streams, length=options.length, promise=eager)
        counts = (kept.streams, kept.earned, kept.broken, kept.broken_and_long)
        yield (name, *map(str, counts), f"{kept.worst:.1%}")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
