"""Hedges: a call whose first deployment is silent for too long is put to a second one too, and who begins first answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.errors import GatewayError, Rejected
from gateway.upstream.answer import Answer
from gateway.upstream.asked import Asked

_BURST = 10.0
_ROUNDING = 1e-9


class Hedge(Protocol):
    """Seconds of silence after which a second deployment is asked, and the share of calls for which that may happen."""

    @property
    def after(self) -> float: ...

    @property
    def share(self) -> float: ...


class HedgeBudget:
    """A token bucket for each rule: every call puts its share of a token in, every hedge takes one out."""

    def __init__(self) -> None:
        self._tokens: dict[Hedge, float] = {}

    def earn(self, hedge: Hedge) -> None:
        self._tokens[hedge] = min(_BURST, self._tokens.get(hedge, 0.0) + hedge.share)

    def has(self, hedge: Hedge) -> bool:
        """Whether one more hedge is within the share."""
        return self._tokens.get(hedge, 0.0) >= 1 - _ROUNDING

    def spend(self, hedge: Hedge) -> None:
        self._tokens[hedge] -= 1


class Hedged:
    """An async context manager that gives the Answer, as Opening does; leaving it closes the answer.

    `first` is asked, and what `second` makes of the next deployment when it is due. The one that does not answer is stopped,
    and paid for what it has made before the answer is given.
    """

    def __init__(
        self,
        first: Asked,
        second: Callable[[Deployment], Asked],
        hedge: Hedge,
        *,
        budget: HedgeBudget,
        clock: Clock,
    ) -> None:
        self._first = first
        self._second = second
        self._hedge = hedge
        self._budget = budget
        self._clock = clock
        self._served = first

    async def __aenter__(self) -> Answer:
        """Raises what the first raises, where the second fails too."""
        self._budget.earn(self._hedge)
        asked = [self._first]
        try:
            await self._until_due()
            other = self._other()
            if other is not None:
                asked.append(other)
                await self._race(self._first, other)
                self._served = _answered(asked) or self._first
            answer = await self._served.answer()
            for each in asked:
                if each is not self._served:
                    await each.drop("slower" if not isinstance(each.result, GatewayError) else None)
        except BaseException as error:
            for each in asked:
                await each.drop(error=error)
            raise
        self._served.serve()
        return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._served.leave(kind, error, traceback)

    async def _until_due(self) -> None:
        """Until there is an answer, or the deployment asked has said nothing for long enough: each one has the same time."""
        task = self._first.start()
        while True:
            attempt = self._first.opening.attempt
            is_asked = attempt is not None and not attempt.ended
            silent = self._clock.monotonic() - attempt.started if attempt is not None and is_asked else 0.0
            if task.done() or silent >= self._hedge.after:
                return
            await asyncio.wait([task], timeout=self._hedge.after - silent)

    def _other(self) -> Asked | None:
        """The hedge, if it is wanted and there is anybody to ask."""
        if self._first.result is not None or not self._budget.has(self._hedge):
            return None
        deployment = self._first.opening.next()
        if deployment is None:
            return None
        self._budget.spend(self._hedge)
        return self._second(deployment)

    async def _race(self, first: Asked, other: Asked) -> None:
        """Until either has an answer, both have failed, or one was told that the call itself is wrong."""
        waiting = {first.start(), other.start()}
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(isinstance(task.result(), Answer | Rejected) for task in done):
                return


def _answered(asked: list[Asked]) -> Asked | None:
    return next((each for each in asked if isinstance(each.result, Answer)), None)
