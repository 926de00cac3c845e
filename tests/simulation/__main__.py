"""`python -m tests.simulation`: runs one world after another until so many operations have been applied.

A world that breaks is told with its seed and its last events; `--seed N --worlds 1` runs that one again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.histories import built
from tests.simulation.invariants import Broken
from tests.simulation.world import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000, help="operations of the ledger in all")
    parser.add_argument("--length", type=int, default=10_000, help="operations of one world")
    parser.add_argument("--seed", type=int, default=0, help="the first world's")
    parser.add_argument("--faults", nargs="*", default=(), choices=KINDS, help="what may go wrong, in every world")
    parser.add_argument("--events", type=int, default=120, help="events told of a world that breaks")
    parser.add_argument("--keep-going", action="store_true", help="run the other worlds all the same")
    asked = parser.parse_args()
    done, told, seed, broken, began = 0, 0, asked.seed, 0, time.monotonic()
    total: Counter[str] = Counter()
    while done < asked.steps:
        with built(seed, asked.faults) as world:
            try:
                story = world.run(asked.length)
            except Broken as error:
                broken += 1
                print(f"seed {seed} {world.faults} broke at {world.agenda.time:.3f} s: {error}", flush=True)
                if not asked.keep_going:
                    for when, text in list(world.events)[-asked.events :]:
                        print(f"  {when:10.4f}  {text}")
                    return 1
                story = None
            done += world.invariants.operations
        if story is not None:
            total.update(story.seen)
            total.update({"calls": story.calls, "attempts": story.attempts, "simulated seconds": int(story.seconds)})
        seed += 1
        if done // 100_000 > told:
            told = done // 100_000
            spent = time.monotonic() - began
            print(
                f"{done:>9} steps, {seed - asked.seed} worlds, {total['calls']} calls, {broken} broken, {spent:.0f} s",
                flush=True,
            )
    for name, count in sorted(total.items()):
        print(f"{count:>9}  {name}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
