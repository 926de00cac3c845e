"""Fair shares of a worker that has more to do than it can: whoever asks for less than an equal share gets all of it.

A worker is overloaded when its event loop comes late. Then it takes as many calls as it has been able to answer, and shares
them out among the organisations that call (max-min fairness): one that asks for ten times its share is refused what is
beyond it, and the others do not notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from gateway.core.errors import Overloaded

EVERY = 0.1
TOO_LATE = 0.2
"""Seconds by which the event loop comes late when a worker has more to do than it can, and not only much at once."""
TOO_LATE_FOR_OTHERS = 0.05
"""The same while several organisations call: what one of them does, the others wait for."""
ROUNDS = 5
"""Rounds in a row that come too late before anybody is refused."""
LATE = 0.02
"""The lateness it is brought back to by refusing."""
CALM = 10
"""Rounds in a row without lateness after which nobody is refused any more."""
FEWEST = 5.0
"""Calls per round that are taken whatever happens."""


class Shares:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._asked: dict[str, int] = {}
        self._taken = 0
        self._capacity: float | None = None
        self._left: dict[str, float] = {}
        self._calm = 0
        self._troubled = 0
        self.refused = 0

    @property
    def is_overloaded(self) -> bool:
        return self._capacity is not None

    def admit(self, tenant: str) -> None:
        """Raises Overloaded when the tenant has had its share of an overloaded worker."""
        self._asked[tenant] = self._asked.get(tenant, 0) + 1
        if self._capacity is not None:
            left = self._left.get(tenant, self._capacity / (len(self._left) + 1))
            self._left[tenant] = left - 1
            if left < 1:
                self._left[tenant] = left
                self.refused += 1
                raise Overloaded("The gateway has more to do than it can; try again shortly.", retry_after=1)
        self._taken += 1

    async def run(self) -> None:
        """Looks how late the event loop comes, until it is cancelled."""
        while True:
            due = self._monotonic() + EVERY
            await asyncio.sleep(EVERY)
            late = self._monotonic() - due
            self.look(late, EVERY / (EVERY + max(0.0, late)))

    def look(self, late: float, share: float) -> None:
        """Ends a round. `late` in seconds; `share` is the part of what the round took that a round on time would have."""
        self._calm = 0 if late > LATE else self._calm + 1
        too_late = TOO_LATE if len(self._asked) < 2 else TOO_LATE_FOR_OTHERS
        self._troubled = self._troubled + 1 if late > too_late else 0
        taken = self._taken * share
        if self._capacity is None:
            self._capacity = max(FEWEST, taken * 0.95) if self._troubled >= ROUNDS else None
        elif late > LATE:
            self._capacity = max(FEWEST, min(taken, self._capacity) * 0.95)
        else:
            self._capacity *= 1.05
        if self._calm >= CALM:
            self._capacity = None
        self._left = {} if self._capacity is None else dict(fair(self._asked, self._capacity))
        self._asked, self._taken = {}, 0


def fair(asked: Mapping[str, float], capacity: float) -> Mapping[str, float]:
    """Max-min fair shares: what the modest do not need is shared out among the others."""
    shares: dict[str, float] = {}
    rest = capacity
    for count, (tenant, wanted) in enumerate(sorted(asked.items(), key=lambda each: each[1])):
        equal = rest / (len(asked) - count)
        shares[tenant] = equal
        rest -= min(wanted, equal)
    return shares
