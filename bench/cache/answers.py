"""`python -m bench.cache.answers --data DIR`: of pairs of sentences, how many count as the same answer where there is no judge.

DIR is as for bench.cache; sentences stand for answers in prose. Of pairs that are not the same, the share that counts as the same
is what `proof.comparison.MISSED_WITHOUT_JUDGE` allows for.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from bench.cache import data
from gateway.cache.semantic.proof.comparison import MISSED_WITHOUT_JUDGE, Alike, compare, sounds_alike


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cache.answers", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a folder of labelled pairs")
    parser.add_argument("--most", type=int, default=3000, metavar="N", help="pairs of a set")
    options = parser.parse_args()
    print(
        f"allowed for: {MISSED_WITHOUT_JUDGE:.0%}\n\n| set | kind | same | pairs | taken for the same |\n|---|---|---|---|---|"
    )
    for name, pairs in data.read(options.data).pairs.items():
        total: Counter[tuple[str, bool]] = Counter()
        alike: Counter[tuple[str, bool]] = Counter()
        for pair in pairs[: options.most]:
            total[pair.kind, pair.same] += 1
            alike[pair.kind, pair.same] += is_taken_for_the_same(pair.a, pair.b)
        for (kind, same), count in sorted(total.items()):
            share = alike[kind, same] / count
            print(f"| {name} | {kind} | {'yes' if same else 'no'} | {count} | {share:.1%} |")
    return 0


def is_taken_for_the_same(one: str, other: str) -> bool:
    alike = compare(one, other)
    return sounds_alike(one, other) if alike is Alike.UNCLEAR else alike is Alike.YES


if __name__ == "__main__":
    sys.exit(main())
