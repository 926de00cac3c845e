"""From a plan to an answer: tries deployments in order until one has its first chunk in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from types import TracebackType
from typing import Protocol

from gateway.core.attempt import Attempts
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import Overloaded, UpstreamError
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


class Upstream:
    """`wires` maps a provider's dialect to the way it is reached."""

    def __init__(
        self,
        *,
        wires: Mapping[str, Wire],
        health: Health,
        clock: Clock,
        random: Random,
        observed: Observed | None = None,
    ) -> None:
        self.observed = observed or Observed(clock)
        self.wires = wires
        self.health = health
        self.budget = RetryBudget()
        self.clock = clock
        self.random = random

    def open(self, plan: tuple[Deployment, ...], call: Call, attempts: Attempts, purse: Purse) -> Opening:
        """An async context manager that gives the Answer and closes it. Each try is added to `attempts`.

        Raises UpstreamError, the last try's; Overloaded when no deployment may be tried; and what the purse raises.
        """
        return Opening(self, plan, call, attempts, purse)


class Opening:
    """Leaving it gives the connection back, which stops a provider that is still talking."""

    __slots__ = ("_attempts", "_call", "_plan", "_purse", "_try", "_upstream")

    def __init__(
        self, upstream: Upstream, plan: tuple[Deployment, ...], call: Call, attempts: Attempts, purse: Purse
    ) -> None:
        self._upstream = upstream
        self._plan = plan
        self._call = call
        self._attempts = attempts
        self._purse = purse
        self._try: Try | None = None

    async def __aenter__(self) -> Answer:
        """Tries each deployment that is not resting, and the last one again where that is safe."""
        failure: UpstreamError | None = None
        waiting = list(self._plan)
        deployment = self._next(waiting)
        while deployment is not None:
            try:
                return await self._start(deployment)
            except UpstreamError as error:
                failure = error
                self._judge(deployment, error)
                if not _may_go_on(error, deployment) or len(self._attempts) >= deployment.provider.retries.attempts:
                    raise
            following = self._next(waiting)
            if following is None and not await self._may_repeat(deployment, failure):
                raise failure
            deployment = following or deployment
        raise self._nobody()

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
            self._upstream.health.abandoned(deployment)
            raise
        self._upstream.health.answered(deployment)
        return answer

    async def _begin(self, deployment: Deployment, cap: int | None) -> Answer:
        attempt = self._attempts.begin(deployment, started=self._upstream.clock.monotonic())
        if attempt.reason != "retry":
            self._upstream.budget.earn(deployment.provider.name)
        context = self._attempts.context() if deployment.provider.propagate_trace else None
        wire = self._upstream.wires[deployment.provider.dialect]
        upstream = self._upstream
        self._try = Try(wire, deployment, self._call, cap, attempt, context, upstream.clock, upstream.observed)
        return await self._try.start()

    def _judge(self, deployment: Deployment, error: BaseException | None) -> None:
        """Tells the deployment's health how it did: well, too, when it answered that the call itself is wrong."""
        if isinstance(error, UpstreamError) and error.code == "upstream_too_large":
            return  # our own limit, which says nothing of the deployment
        if isinstance(error, UpstreamError) and (error.status >= 500 or error.status == 429):
            self._upstream.health.failed(deployment, error)
        else:
            self._upstream.health.succeeded(deployment)

    def _next(self, waiting: list[Deployment]) -> Deployment | None:
        """Takes the first deployment out of `waiting` that may be tried now."""
        for position, deployment in enumerate(waiting):
            if self._upstream.health.is_available(deployment):
                del waiting[: position + 1]
                return deployment
        return None

    async def _may_repeat(self, deployment: Deployment, failure: UpstreamError) -> bool:
        """Waits as long as a retry of the same deployment should wait; False if it should not be."""
        upstream = self._upstream
        wait = backoff(len(self._attempts), failure, upstream.random)
        if wait > deployment.provider.retries.max_wait or not upstream.budget.spend(deployment.provider.name):
            return False
        began = upstream.clock.monotonic()
        try:
            await asyncio.sleep(wait + _CLOCKS_DIFFER)
        finally:
            self._attempts.waited += upstream.clock.monotonic() - began
        return upstream.health.is_available(deployment)  # a rest that was asked for is over by now

    def _nobody(self) -> Overloaded:
        if not self._plan:
            return Overloaded("no provider of this model is switched on", code="no_upstream_available", retry_after=60)
        wait = self._upstream.health.next_return(self._plan)
        return Overloaded(
            "every deployment of this model is resting after failures",
            code="no_upstream_available",
            retry_after=max(1, wait),
        )


def _may_go_on(error: UpstreamError, deployment: Deployment) -> bool:
    """Whether another try is safe: never when the provider may have done the work, unless the policy allows a replay."""
    return error.retriable or (deployment.provider.retries.replay and error.code in _AMBIGUOUS)
