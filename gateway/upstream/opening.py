"""From a plan to an answer: tries deployments in order until one has its first chunk in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Protocol

from gateway.core.attempt import Attempt, Attempts
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import Overloaded, Unsayable, UpstreamError
from gateway.upstream.answer import Answer
from gateway.upstream.attempt import Try
from gateway.upstream.health import Health
from gateway.upstream.observed import Observed
from gateway.upstream.retries import RetryBudget, backoff
from gateway.upstream.wire import Wire

_CLOCKS_DIFFER = 0.02  # seconds: rests are told in UTC, and waits are measured by another clock
_AMBIGUOUS = frozenset({"upstream_reset", "upstream_timeout"})


class Purse(Protocol):
    """What pays for attempts."""

    async def reserve(self, deployment: Deployment) -> int | None:
        """Holds what an attempt there may cost, in the place of what the last one held. The output cap to write upstream."""
        ...


@dataclass(frozen=True, slots=True)
class Reach:
    """What every opening of a worker needs. `wires` maps a provider's dialect to the way it is reached."""

    wires: Mapping[str, Wire]
    health: Health
    clock: Clock
    random: Random
    observed: Observed
    budget: RetryBudget = field(default_factory=RetryBudget)


class Opening:
    """Leaving it gives the connection back, which stops a provider that is still talking. `attempt` is the last one."""

    __slots__ = ("_attempts", "_call", "_purse", "_reach", "_reason", "_tries", "_try", "_waiting", "is_single", "plan")

    def __init__(
        self,
        reach: Reach,
        plan: tuple[Deployment, ...],
        call: Call,
        attempts: Attempts,
        purse: Purse,
        *,
        reason: str = "primary",
        is_single: bool = False,
    ) -> None:
        """`reason` is the first attempt's. `is_single`: the plan's first deployment, of which it is known that it may be tried
        now, is tried once."""
        self._reach = reach
        self._call = call
        self._attempts = attempts
        self._purse = purse
        self._reason = reason
        self._waiting = list(plan)
        self._tries = 0
        self._try: Try | None = None
        self.plan = plan
        self.is_single = is_single

    @property
    def attempt(self) -> Attempt | None:
        return None if self._try is None else self._try.attempt

    async def __aenter__(self) -> Answer:
        """Tries each deployment that is not resting, and the last one again where that is safe.

        Each try is added to the call's attempts. Raises UpstreamError, the last try's; Unsayable, the first's, when the call can
        be made of nobody; Overloaded when no deployment may be tried; and what the purse raises.
        """
        failure: UpstreamError | None = None
        unsaid: Unsayable | None = None
        deployment = self.plan[0] if self.is_single else self.next()
        while deployment is not None:
            try:
                return await self._start(deployment)
            except Unsayable as error:
                self._tries -= 1  # nobody was asked
                unsaid = unsaid or error
                deployment = None if self.is_single else self.next()
                continue
            except UpstreamError as error:
                failure = error
                self._judge(deployment, error)
                if self.is_single or not self._may_go_on(error, deployment):
                    raise
            following = self.next()
            if following is None and not await self._may_repeat(deployment, failure):
                raise failure
            deployment = following or deployment
        raise failure or unsaid or self._nobody()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._try is not None
        if error is None or isinstance(error, UpstreamError):
            self._judge(self._try.deployment, error)
        self._try.close(error)

    async def _start(self, deployment: Deployment) -> Answer:
        try:
            cap = await self._purse.reserve(deployment)
            answer = await self._begin(deployment, cap)
        except UpstreamError:
            raise
        except BaseException:
            self._reach.health.abandoned(deployment)
            raise
        self._reach.health.answered(deployment)
        answer.attempt.first_byte = self._reach.clock.monotonic()
        return answer

    async def _begin(self, deployment: Deployment, cap: int | None) -> Answer:
        reach, before = self._reach, self._try
        reason = self._reason
        if before is not None:
            reason = "retry" if before.deployment is deployment else "fallback"
        attempt = self._attempts.begin(deployment, started=reach.clock.monotonic(), reason=reason)
        if reason != "retry":
            reach.budget.earn(deployment.provider.name)
        context = self._attempts.context(attempt) if deployment.provider.propagate_trace else None
        wire = reach.wires[deployment.provider.dialect]
        self._tries += 1
        self._try = Try(wire, deployment, self._call, cap, attempt, context, reach.clock, reach.observed)
        return await self._try.start()

    def _judge(self, deployment: Deployment, error: BaseException | None) -> None:
        """Tells the deployment's health how it did: well, too, when it answered that the call itself is wrong."""
        if isinstance(error, UpstreamError) and error.code == "upstream_too_large":
            return  # our own limit, which says nothing of the deployment
        if isinstance(error, UpstreamError) and (error.status >= 500 or error.status == 429):
            self._reach.health.failed(deployment, error)
        else:
            self._reach.health.succeeded(deployment)

    def next(self) -> Deployment | None:
        """Takes the first deployment that may be tried now out of those that have not been."""
        for position, deployment in enumerate(self._waiting):
            if self._reach.health.is_available(deployment):
                del self._waiting[: position + 1]
                return deployment
        return None

    def _may_go_on(self, error: UpstreamError, deployment: Deployment) -> bool:
        return _is_safe(error, deployment) and self._tries < deployment.provider.retries.attempts

    async def _may_repeat(self, deployment: Deployment, failure: UpstreamError) -> bool:
        """Waits as long as a retry of the same deployment should wait; False if it should not be."""
        reach = self._reach
        wait = backoff(self._tries, failure, reach.random)
        if wait > deployment.provider.retries.max_wait or not reach.budget.spend(deployment.provider.name):
            return False
        began = reach.clock.monotonic()
        try:
            await asyncio.sleep(wait + _CLOCKS_DIFFER)
        finally:
            self._attempts.waits.append((began, reach.clock.monotonic()))
        return reach.health.is_available(deployment)  # a rest that was asked for is over by now

    def _nobody(self) -> Overloaded:
        if not self.plan:
            return Overloaded("no provider of this model is switched on", code="no_upstream_available", retry_after=60)
        wait = self._reach.health.next_return(self.plan)
        return Overloaded(
            "every deployment of this model is resting after failures",
            code="no_upstream_available",
            retry_after=max(1, wait),
        )


def _is_safe(error: UpstreamError, deployment: Deployment) -> bool:
    """Whether another try is safe: never when the provider may have done the work, unless the policy allows a replay."""
    return error.retriable or (deployment.provider.retries.replay and error.code in _AMBIGUOUS)
