"""What one worker knows of providers, and how its calls ask them."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from gateway.core.attempt import Attempts
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.tasks import Tasks
from gateway.upstream.asked import Meter
from gateway.upstream.asking import Asking, Hold
from gateway.upstream.health import Health
from gateway.upstream.hedge import Hedge, HedgeBudget
from gateway.upstream.observed import Observed
from gateway.upstream.opening import Opening, Purse, Reach
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
        self.budget = self.reach.budget
        self._hedges = HedgeBudget()
        self._tasks = tasks

    def open(self, plan: tuple[Deployment, ...], call: Call, attempts: Attempts, purse: Purse) -> Opening:
        """An async context manager that gives the Answer and closes it. Each try is added to `attempts`.

        Raises UpstreamError, the last try's; Overloaded when no deployment may be tried; and what the purse raises.
        """
        return Opening(self.reach, plan, call, attempts, purse)

    def asking(
        self, call: Call, attempts: Attempts, hold: Hold, model: Model, *, meter: Meter, hedge: Hedge | None
    ) -> Asking:
        """For one call that `model` answers."""
        return Asking(call, attempts, hold, model, hedge, meter, self.reach, self._hedges, self._tasks)
