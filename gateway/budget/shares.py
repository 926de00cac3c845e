"""Fair shares of a worker that has more to do than it can: whoever asks for less than an equal share gets all of it.

A worker is overloaded when its event loop comes late. Then what it has been able to answer is shared out among the
organisations that call (max-min fairness). Those that ask for more than their share are squeezed until the loop comes in
time again, for to refuse costs something, too; the others do not notice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from statistics import median

from gateway.core.errors import Overloaded

EVERY = 0.1
"""Seconds of a round."""
LOOKS = 5
"""Looks in a round at how late the event loop comes. The middle one counts: some may have met with other processes."""
TOO_LATE = 0.2
"""Seconds by which the event loop comes late when a worker has more to do than it can, and not only much at once."""
TOO_LATE_FOR_OTHERS = 0.02
"""The same while several organisations call: what one of them does, the others wait for."""
ROUNDS = 3
"""Rounds in a row that come too late before anybody is refused."""
LATE = 0.01
"""The lateness it is brought back to by refusing. A call waits for several rounds of the loop, each about twice as long."""
CALM = 20
"""Rounds in a row without lateness and without a refusal after which nobody is refused any more."""
BURST = 3
"""Rounds for which an organisation may save up what it is allowed."""
LEARNING = 0.2
"""The weight of the last round in what a tenant is thought to want, and in what the worker is thought to do."""
FORGOTTEN = 0.01
FEWEST = 5.0
"""Calls per round that an organisation may make whatever happens."""
FADING = 0.998
"""What is believed of the most that was ever done, after another round."""
SUSTAINED = 0.85
"""What of that can be done in time."""
HARDER, MILDER = 0.75, 1.2
"""By what the squeeze changes at most after a round that came late, or in time. It has to come back as fast as it went: a
worker that is late for another reason must not be kept from its work for longer than that lasts."""
SQUEEZED, LOOSE = 0.05, 2.0
"""Bounds of the squeeze; beyond 1 it finds out whether the worker can do more than it did."""
RELUCTANCE, LONGEST = 0.01, 1.0
"""A refusal is told after so many seconds for each that the tenant has had in the round before, and after LONGEST at most:
few are told at once, and whoever does not wait as it is told to asks less often. Half of it more or less, by chance: those
that are told together would come again together."""


class Shares:
    def __init__(self, monotonic: Callable[[], float], random: Random) -> None:
        self._monotonic = monotonic
        self._random = random
        self._asked: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._wanted: dict[str, float] = {}
        self._done = 0.0
        self._best = 0.0
        self._squeeze: float | None = None
        self._left: dict[str, float] = {}
        self._reluctance: dict[str, float] = {}
        self._calm = 0
        self._troubled = 0
        self.refused = 0

    @property
    def is_overloaded(self) -> bool:
        return self._squeeze is not None

    async def admit(self, tenant: str) -> None:
        """Raises Overloaded when the tenant has had its share of an overloaded worker."""
        if self.takes(tenant):
            return
        self._waiting[tenant] += 1
        try:
            await asyncio.sleep(self._reluctance.get(tenant, 0.0) * (0.5 + self._random.random()))
        finally:
            self._waiting[tenant] -= 1
        raise Overloaded("The gateway has more to do than it can; try again shortly.", retry_after=1)

    def takes(self, tenant: str) -> bool:
        """Whether one more call of the tenant is taken."""
        self._asked[tenant] += 1
        if self._squeeze is None:
            return True
        left = self._left.get(tenant)
        if left is None:
            left = max(FEWEST, self._best / (len(self._left) + 1))
        if left < 1:
            self.refused += 1
            self._refused[tenant] += 1
            return False
        self._left[tenant] = left - 1
        return True

    async def run(self) -> None:
        """Looks how late the event loop comes, until it is cancelled."""
        pause = EVERY / LOOKS
        while True:
            late = []
            for _ in range(LOOKS):
                due = self._monotonic() + pause
                await asyncio.sleep(pause)
                late.append(max(0.0, self._monotonic() - due))
            self.look(median(late), EVERY / (EVERY + sum(late)))

    def look(self, late: float, share: float) -> None:
        """Ends a round. `late` in seconds; `share` is the part of what the round took that a round on time would have."""
        self._waiting = +self._waiting  # without those of whom nobody waits any more
        self._measure(late, share)
        self._judge(late)
        self._want(share)
        self._left = {} if self._squeeze is None else dict(self._allow(self._squeeze, share))
        self._reluctance = {tenant: min(LONGEST, RELUCTANCE * count) for tenant, count in self._refused.items()}
        self._asked, self._refused = Counter(), Counter()

    def _measure(self, late: float, share: float) -> None:
        """What the worker does in a round on time, and the most that it can."""
        taken = self._asked.total() - self._refused.total()
        self._done += (taken * share - self._done) * LEARNING
        self._best = max(self._best * FADING, self._done)

    def _judge(self, late: float) -> None:
        self._calm = 0 if late > LATE or self._refused else self._calm + 1
        too_late = TOO_LATE if len(self._asked) < 2 else TOO_LATE_FOR_OTHERS
        self._troubled = self._troubled + 1 if late > too_late else 0
        if self._calm >= CALM:
            self._squeeze = None
        elif self._squeeze is not None:
            self._squeeze = self._changed(self._squeeze, max(HARDER, min(MILDER, LATE / max(late, FORGOTTEN * LATE))))
        elif self._troubled >= ROUNDS:
            self._squeeze = 1.0

    def _changed(self, squeeze: float, change: float) -> float:
        if (
            change < 1 and not self._refused and not self._waiting
        ):  # nobody had too much, and yet it is late: there is less
            self._best = max(self._done, self._best * change)
            return squeeze
        return max(SQUEEZED, min(LOOSE, squeeze * change))

    def _want(self, share: float) -> None:
        """What each tenant asks for in a round on time, by its last rounds. Those that wait to be refused want it still."""
        for tenant in {*self._wanted, *self._asked}:
            asked = max(self._asked[tenant] * share, self._waiting[tenant])
            before = self._wanted.get(tenant, asked)
            self._wanted[tenant] = before + (asked - before) * LEARNING
            if self._wanted[tenant] < FORGOTTEN:
                del self._wanted[tenant]

    def _allow(self, squeeze: float, share: float) -> Mapping[str, float]:
        """Calls that each tenant may make in the next round, which may be as long as the last one."""
        allowed = {}
        for tenant, part in fair(self._wanted, max(FEWEST, self._best * SUSTAINED)).items():
            if self._wanted[tenant] <= part:
                most = max(FEWEST, part) / share
                allowed[tenant] = min(BURST * most, self._left.get(tenant, 0.0) + most)
            else:
                allowed[tenant] = max(FEWEST, part * squeeze) / share
        return allowed


def fair(asked: Mapping[str, float], capacity: float) -> Mapping[str, float]:
    """Max-min fair shares: what the modest do not need is shared out among the others."""
    shares: dict[str, float] = {}
    rest = capacity
    for count, (tenant, wanted) in enumerate(sorted(asked.items(), key=lambda each: each[1])):
        equal = rest / (len(asked) - count)
        shares[tenant] = equal
        rest -= min(wanted, equal)
    return shares
