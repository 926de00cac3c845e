"""Which deployments rest: a failing one cools down, then one call probes it before the others come back."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import UpstreamError

log = logging.getLogger("llmgw.upstream")

FAILURES_TO_REST = 3
FIRST_REST = 5.0
LONGEST_REST = 60.0
_PROBE_SECONDS = 30.0
_CLOCK_WENT_BACK = LONGEST_REST


@dataclass(slots=True)
class _State:
    failures: int = 0
    rests: int = 0
    until: float = 0.0
    probing_until: float = -math.inf
    reason: str = ""


class Health:
    """Kept by deployment name, so that it survives a reload of the policy. Times are UTC seconds, to be shared by replicas.

    `publish(name, until, reason)` is called when a deployment begins to rest, for the other workers to hear of it.
    """

    def __init__(self, clock: Clock, publish: Callable[[str, float, str], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._states: dict[str, _State] = {}

    def is_available(self, deployment: Deployment) -> bool:
        """Whether the deployment may be tried now. Answering yes to one that has rested makes that call its probe."""
        state = self._states.get(deployment.name)
        if state is None or state.until == 0.0:
            return True
        now = self._clock.now()
        if state.until - now > _CLOCK_WENT_BACK:
            state.until = now
        if now < state.until or now < state.probing_until:
            return False
        state.probing_until = now + _PROBE_SECONDS
        return True

    def succeeded(self, deployment: Deployment) -> None:
        if deployment.name in self._states:
            del self._states[deployment.name]

    def answered(self, deployment: Deployment) -> None:
        """Its first chunk is there: a rest is over. Only a whole answer makes up for earlier failures."""
        if (state := self._states.get(deployment.name)) is not None:
            state.until, state.probing_until = 0.0, -math.inf

    def abandoned(self, deployment: Deployment) -> None:
        """The call left before it could tell: somebody else may probe."""
        if (state := self._states.get(deployment.name)) is not None:
            state.probing_until = -math.inf

    def failed(self, deployment: Deployment, error: UpstreamError) -> None:
        """Counts a failure of the deployment itself; three in a row, a failed probe, or a bad credential make it rest."""
        state = self._states.setdefault(deployment.name, _State())
        now = self._clock.now()
        if now < state.until and state.probing_until < now:
            return  # a call that was under way when the rest began
        state.failures += 1
        state.probing_until = -math.inf
        must_rest = state.until > 0 or state.failures >= FAILURES_TO_REST or error.code == "upstream_auth_failed"
        asked = min(error.retry_after or 0.0, LONGEST_REST) if error.code == "upstream_rate_limited" else 0.0
        if not must_rest and not asked:
            return
        rest = asked
        if must_rest:
            rest = max(asked, min(FIRST_REST * 2**state.rests, LONGEST_REST))
            state.rests = min(state.rests + 1, 8)
        state.until = now + rest
        state.reason = error.code
        told = {"deployment": deployment.name, "reason": error.code, "detail": error.detail, "seconds": rest}
        log.warning("a deployment rests", extra=told)
        self._publish(deployment.name, state.until, error.code)

    def hear(self, resting: Mapping[str, float]) -> None:
        """Takes over what other workers have published."""
        now = self._clock.now()
        for name, until in resting.items():
            if until > now and (name not in self._states or self._states[name].until < until):
                state = self._states.setdefault(name, _State())
                state.until, state.reason = until, "another worker"

    def next_return(self, deployments: tuple[Deployment, ...]) -> float:
        """Seconds until the first of them may be tried again."""
        now = self._clock.now()
        waits = [max(s.until, s.probing_until) - now for d in deployments if (s := self._states.get(d.name))]
        return max(0.0, min(waits, default=0.0))

    def resting(self) -> Mapping[str, tuple[float, str]]:
        """Deployment name to (rests until, why)."""
        now = self._clock.now()
        return {name: (s.until, s.reason) for name, s in self._states.items() if s.until > now}
