"""`python -m bench.routing --data FILE`: how well calls are told apart that a cheaper model can answer, what cascades cost and
keep, and what certificates take, on graded prompts.

The exit status is 2 where a file cannot be read. All of it takes some minutes, `--quick` less than one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.routing import cascade, certificate, data, score
from bench.routing.data import Row

_DRAWS, _QUICK_DRAWS = 10, 2
_MOST_TESTED, _QUICK_TESTED = 10_000, 500


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.routing",
        description=f"{__doc__}\n{data.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="graded prompts")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="where labels come from (a part of the data)")
    parser.add_argument("--quick", action="store_true", help="fewer draws of labels, and a sample of what is tested")
    options = parser.parse_args()
    try:
        rows = data.read(options.data)
        labels = data.read(options.labels) if options.labels else None
    except data.BadFile as wrong:
        print(f"bench.routing: {wrong}", file=sys.stderr)
        return 2
    draws, most_tested = (_QUICK_DRAWS, _QUICK_TESTED) if options.quick else (_DRAWS, _MOST_TESTED)
    sections: tuple[Callable[[Sequence[Row]], Iterator[str]], ...] = (
        partial(score.report, labels=labels, draws=draws, most_tested=most_tested),
        partial(cascade.report, quick=options.quick),
        partial(certificate.report, quick=options.quick),
    )
    print("# Routing to cheaper models\n")
    for section in sections:
        for part in section(rows):
            print(part, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
