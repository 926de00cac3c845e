"""What one worker knows of providers, and how its calls ask them."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from gateway.core.attempt import Attempts
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Model
from gateway.core.tasks import Tasks
from gateway.upstream.asked import Meter
from gateway.upstream.asking import Asking, Hold
from gateway.upstream.health import Health
from gateway.upstream.hedge import Hedge, HedgeBudget
from gateway.upstream.observed import Observed
from gateway.upstream.opening import Reach
from gateway.upstream.wire import Wire


class Upstream:
    """`wires` maps a provider's dialect to the way it is reached."""

    def __init__(
        self,
        *,
        wires: Mapping[str, Wire],
        health: Health,
        clock: Clock,
        random: Random,
        tasks: Tasks,
        observed: Observed | None = None,
    ) -> None:
        self.reach = Reach(wires, health, clock, random, observed or Observed(clock))
        self._hedges = HedgeBudget()
        self._tasks = tasks

    def asking(
        self, call: Call, attempts: Attempts, hold: Hold, model: Model, *, meter: Meter, hedge: Hedge | None
    ) -> Asking:
        """For one call that `model` answers."""
        return Asking(call, attempts, hold, model, hedge, meter, self.reach, self._hedges, self._tasks)
