"""`python -m bench.cache.answers --data DIR`: could shared words tell that two answers in prose say the same, without a judge?

DIR is as for bench.cache; sentences stand for answers. A measure is of use if it knows nearly all pairs that say the same, for
each one that it does not know counts as a wrong hit, and takes next to none of the others for the same.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.cache import data
from gateway.cache.semantic.guard import veto
from gateway.cache.semantic.proof.comparison import Alike, compare
from gateway.cache.semantic.reading import Reading, read


def share(one: Reading, other: Reading) -> float:
    """Of the words that carry meaning, those that both have; 0 where the guard finds a difference."""
    every = one.stems | other.stems
    return len(one.stems & other.stems) / len(every) if every and veto(one, other) is None else 0.0


MEASURES: Mapping[str, Callable[[str, str], bool]] = {
    "as the gateway": lambda one, other: compare(one, other) is Alike.YES,
    "guard, all words": lambda one, other: share(read(one), read(other)) == 1.0,
    "guard, 4 of 5 words": lambda one, other: share(read(one), read(other)) >= 0.8,
    "guard, half of the words": lambda one, other: share(read(one), read(other)) >= 0.5,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cache.answers", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a folder of labelled pairs")
    parser.add_argument("--most", type=int, default=2000, metavar="N", help="pairs of a set")
    options = parser.parse_args()
    print(f"| set | kind | same | pairs | {' | '.join(MEASURES)} |")
    print("|---" * (4 + len(MEASURES)) + "|")
    for name, pairs in data.read(options.data).pairs.items():
        total: Counter[tuple[str, bool]] = Counter()
        alike: Counter[tuple[str, bool, str]] = Counter()
        for pair in pairs[: options.most]:
            total[pair.kind, pair.same] += 1
            for measure, holds in MEASURES.items():
                alike[pair.kind, pair.same, measure] += holds(pair.a, pair.b)
        for (kind, same), count in sorted(total.items()):
            shares = " | ".join(f"{alike[kind, same, measure] / count:.1%}" for measure in MEASURES)
            print(f"| {name} | {kind} | {'yes' if same else 'no'} | {count} | {shares} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
